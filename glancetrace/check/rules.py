"""The rules: everything that a finding can say, each with what it means and what to do about it.

A table and nothing else. The functions that look for these things are in the modules beside it, one idea each;
`glancetrace.check.findings` lists them. A rule that is not listed here cannot be raised.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be found: `severity` is info, warning or error; the rest is for people."""

    name: str
    severity: str
    title: str
    meaning: str
    remedy: str


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "image-stuck",
            "error",
            "Image stuck half-way",
            "the image is saving, uploading or importing at the end of the capture and nothing works on it any more",
            "look at the call that began it; delete the image or repeat the upload or import",
        ),
        Rule(
            "upload-running",
            "info",
            "Upload still running",
            "the capture ends while the image's data are on their way",
            "record longer to see the end of it",
        ),
        Rule(
            "status-illegal",
            "error",
            "Status change that Glance does not allow",
            "the status went a way that is not in Glance's table of transitions",
            "see who wrote it: a tool at the database, an old release, or two writers at the same time",
        ),
        Rule(
            "status-not-committed",
            "error",
            "The API showed a status that the database never had",
            "a response shows a status that no committed statement in the capture wrote to this image",
            "look for a rolled back or lost statement, a second database, or a capture that misses packets",
        ),
        Rule(
            "status-outdated",
            "warning",
            "The API showed a status that was over",
            "a response shows a status that the database had already left when the call began",
            "look for a read from a replica that lags behind, or a cache",
        ),
        Rule(
            "success-not-committed",
            "error",
            "Success without a committed change",
            "a call was answered with success and the database did not commit the status that it stands for",
            "look at the outcome of the call's statements",
        ),
        Rule(
            "failure-committed",
            "warning",
            "Failure with a committed change",
            "a call was answered with an error, and yet the database committed what was asked for",
            "do not repeat the call blindly: the image has the new status",
        ),
        Rule(
            "upload-hash-differs",
            "error",
            "Uploaded data and recorded hash differ",
            "the bytes that passed in the upload have another hash than the one that Glance recorded",
            "compare with the hash of the file; upload again",
        ),
        Rule(
            "upload-size-differs",
            "error",
            "Uploaded data and recorded size differ",
            "the count of bytes that passed differs from the announced size or from the size that Glance recorded",
            "compare with the size of the file; upload again",
        ),
        Rule(
            "upload-base64",
            "warning",
            "Upload of base64 text",
            "the request says Content-Transfer-Encoding: base64, which Glance does not decode: it stored the text",
            "upload the file itself, without an encoding",
        ),
        Rule(
            "upload-newlines-stripped",
            "warning",
            "Upload by curl -d: line breaks are stripped",
            "curl -d @FILE (--data) takes the line breaks out of the file before it sends it",
            "use curl -T FILE or --data-binary @FILE with Content-Type: application/octet-stream",
        ),
        Rule(
            "upload-aborted",
            "warning",
            "Upload broken off",
            "the connection ended before the image's data did",
            "see which side ended it: the client's time-out, the proxy's, or the service",
        ),
        Rule(
            "download-aborted",
            "warning",
            "Download broken off",
            "the connection ended before the image's data did",
            "see which side ended it: the client, the proxy's time-out, or the service",
        ),
        Rule(
            "transfer-paused",
            "warning",
            "Pause in a transfer",
            "no byte of the image's data came for a second or longer, in the middle of the transfer",
            "look at the frames around the pause: a slow disk on the sender, a full window, or the network",
        ),
        Rule(
            "image-changed-outside",
            "warning",
            "Image changed outside any API call",
            "a statement that no API call caused, and that is not Glance's own, changed an image in the database",
            "find out who runs SQL by hand: Glance's caches, policies and notifications know nothing of it",
        ),
        Rule(
            "lost-race",
            "warning",
            "Lost race for an image",
            "an UPDATE that expects a status changed no row: another request had changed the image first",
            "look at the other request: a delete while saving, two uploads to one image",
        ),
        Rule(
            "server-error",
            "error",
            "Server error",
            "a call was answered with a 5xx status",
            "look at the call's statements and the service's log of that request id",
        ),
        Rule(
            "client-error",
            "warning",
            "Calls refused",
            "calls were answered with a 4xx status",
            "look at the response's message in the frames",
        ),
        Rule(
            "lookup-not-found",
            "info",
            "Lookup by name found nothing",
            "clients ask for an image by its name as if it were an id, and list the images after the 404",
            "nothing: clients do that",
        ),
        Rule(
            "response-missing",
            "warning",
            "Call without a response",
            "the connection ended before a response came",
            "see which side ended it, and what the call's statements did: the work may be done all the same",
        ),
        Rule(
            "sql-error",
            "warning",
            "SQL error",
            "the database refused a statement",
            "see the message; some errors are expected by the service (a duplicate id) and answered as a 409",
        ),
        Rule(
            "sql-deadlock",
            "warning",
            "Deadlock in the database",
            "the database rolled a transaction back (1213: a deadlock, or a failed Galera certification)",
            "a retry that went through needs nothing; many of them ask for one writer node",
        ),
        Rule(
            "statement-repeated",
            "info",
            "Same statement many times in one call",
            "one call ran statements that differ in values only ten times or more (N+1)",
            "a growing list makes these calls slower; page the list",
        ),
        Rule(
            "call-slow",
            "warning",
            "Slow call",
            "the call took longer than a second, most of it not spent on transferring a body",
            "look where the time went: SQL, calls to other services, or waiting inside the service",
        ),
        Rule(
            "transfer-long",
            "info",
            "Long transfer",
            "the call took longer than a second, most of it for the transfer of its body",
            "nothing, unless the rate is lower than the network's",
        ),
        Rule(
            "claim-uncertain",
            "warning",
            "Status changes that lost packets make uncertain",
            "packets are missing from the capture, and some status changes of the image are inferred",
            "record with a larger buffer (tcpdump -B 65536) and a full snaplen (-s0)",
        ),
        Rule(
            "claim-inferred",
            "info",
            "Status changes that are inferred",
            "some status changes are known from the API's responses only, or from one consistent explanation",
            "capture the database's port, too (3306)",
        ),
        Rule(
            "api-encrypted",
            "warning",
            "API calls that cannot be read",
            "requests passed on encrypted connections, and neither a log nor a plain hop shows what they were",
            "give the client's openstack --debug output or HAProxy's log with --api-log; next time set SSLKEYLOGFILE "
            "for the client, or capture the plain hop behind the proxy too (ports 9292 and 5000)",
        ),
        Rule(
            "capture-incomplete",
            "warning",
            "Bytes are missing from the capture",
            "the capture lost packets of connections that matter; what they carried is not known",
            "record with a larger buffer (tcpdump -B 65536) and look for 'dropped by kernel'",
        ),
    )
}
"""Rule name -> rule."""
