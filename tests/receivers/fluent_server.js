// A server of Fluentd's forward protocol that writes each entry as one line of JSON to a file.
// Arguments: the module's folder, the file, settings as JSON (see fluent.py).
"use strict";
const fs = require("fs");
const [modulePath, output, settingsText] = process.argv.slice(2);
const { FluentServer, EventTime } = require(modulePath);
const protocol = require(modulePath + "/build/src/protocol");
const settings = JSON.parse(settingsText);

const options = {
  listenOptions: settings.path
    ? { path: settings.path }
    : { host: settings.host, port: settings.port },
};
if (settings.tls) {
  options.tlsOptions = {
    cert: fs.readFileSync(settings.tls.certificate),
    key: fs.readFileSync(settings.tls.key),
    ...(settings.tls.clientCa && {
      ca: fs.readFileSync(settings.tls.clientCa),
      requestCert: true,
      rejectUnauthorized: true,
    }),
  };
}
if (settings.sharedKey) {
  options.security = {
    serverHostname: "receiver.test",
    sharedKey: settings.sharedKey,
    authorize: Boolean(settings.users),
    userDict: settings.users || {},
  };
}

const file = fs.openSync(output, "a");
// What a message has beside its entries is told of by no event: read where the server takes it apart.
const parse = protocol.parseTransport;
protocol.parseTransport = (message) => {
  const parsed = parse(message);
  const option = message[message.length - 1];
  const mode = protocol.isMessageMode(message)
    ? "message"
    : protocol.isForwardMode(message)
      ? "forward"
      : protocol.isCompressedPackedForwardMode(message)
        ? "compressed"
        : "packed";
  // Written before the acknowledgement goes out: what is acknowledged is there after a crash.
  const lines = parsed.entries.map(([time, record]) => {
    const isExact = time instanceof EventTime;
    return JSON.stringify({
      tag: parsed.tag,
      seconds: isExact ? time.epoch : time,
      nanoseconds: isExact ? time.nano : null,
      record,
      chunk: parsed.chunk || null,
      mode,
      size: mode === "message" ? null : option && option.size,
    });
  });
  if (lines.length) fs.writeSync(file, lines.join("\n") + "\n");
  return parsed;
};

new FluentServer(options).listen();
