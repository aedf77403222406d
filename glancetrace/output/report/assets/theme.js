// Light, dark, or what the system says; times in UTC, local, or since the first packet. The choice lasts as long as the
// page is open: a file from a mail has nowhere to keep it.

function themeButton() {
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const icon = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("circle", { cx: 8, cy: 8, r: 6.25, class: "ring" }), svg("path", { d: "M8 1.75a6.25 6.25 0 0 1 0 12.5z" }));
  const button = el("button", { type: "button", class: "icon theme", id: "theme", title: "Light or dark" }, icon);
  const tell = () => button.setAttribute("aria-label", dark() ? "Switch to light" : "Switch to dark");
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; tell(); });
  tell();
  return button;
}

function clockChoice(clock, changed) {
  const select = el("select", { id: "clock", "aria-label": "Times", title: "Times", onchange: () => { clock.mode = select.value; changed(); } },
    [["UTC", "UTC"], ["local", "Local time"], ["relative", "Since the start"]].map(([value, label]) => el("option", { value }, label)));
  return select;
}
