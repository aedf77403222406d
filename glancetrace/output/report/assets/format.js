// Numbers and times in people's units, spelt as the command line spells them.

const US = 1e3, MS = 1e6, SECOND = 1e9;

function threeDigits(value) {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function formatDuration(dur) {
  if (dur === null || dur === undefined) return "–";
  if (dur < 0) return `-${formatDuration(-dur)}`;
  if (dur < US) return `${Math.round(dur)} ns`;
  if (dur < MS * 0.9995) return `${threeDigits(dur / US)} µs`;
  if (dur < SECOND * 0.9995) return `${threeDigits(dur / MS)} ms`;
  if (dur < 59.95 * SECOND) return `${threeDigits(dur / SECOND)} s`;
  const seconds = Math.round(dur / SECOND);
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

function formatBytes(count) {
  if (count === null || count === undefined) return "–";
  if (count < 1024) return `${count} B`;
  const names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let value = count;
  for (const name of names) {
    value /= 1024;
    if (value < 999.5 || name === "EiB") return `${threeDigits(value)} ${name}`;
  }
  return "";
}

const formatCount = (count) => (count === null || count === undefined ? "–" : count.toLocaleString("en"));
const plural = (count, one) => `${formatCount(count)} ${one}${count === 1 ? "" : "s"}`;

// Times are nanoseconds since the first packet; `base` is that packet's time: [seconds since the epoch, nanoseconds].
class Clock {
  constructor(base) {
    this.base = base;
    this.mode = "UTC";
  }

  time(ts, digits = 6) {
    if (ts === null || ts === undefined) return "–";
    if (this.mode === "relative") return `+${(ts / SECOND).toFixed(digits)}`;
    const total = this.base[1] + ts;
    const date = new Date((this.base[0] + Math.floor(total / SECOND)) * 1000);
    const fraction = String(((total % SECOND) + SECOND) % SECOND).padStart(9, "0").slice(0, digits);
    const local = this.mode === "local";
    const parts = local ? [date.getHours(), date.getMinutes(), date.getSeconds()]
      : [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
    return parts.map((part) => String(part).padStart(2, "0")).join(":") + (digits ? `.${fraction}` : "");
  }
}
