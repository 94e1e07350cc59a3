// The npm package smpp as ESME and as SMSC, driven by JSON lines: commands on stdin, answers and events on stdout.
// Octets travel as {"hex": "..."}.
'use strict';

const fs = require('fs');
const readline = require('readline');
const tls = require('tls');
const smpp = require('smpp');

const sessions = new Map();
let sessionCount = 0;
let server = null;
const behaviour = {
  credentials: null, // [system_id, password], or anybody
  bind_status: 0,
  statuses: {}, // command -> statuses of the next answers, in order; then 0
  mute: [], // commands that get no answer
  id: { prefix: '', base: 10, next: 1 },
};

function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

function toJson(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Date) return value.toISOString();
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
  }
  return value;
}

function fromJson(value) {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value && typeof value === 'object') {
    if (typeof value.hex === 'string') return Buffer.from(value.hex, 'hex');
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
  }
  return value;
}

function nextStatus(command) {
  const planned = behaviour.statuses[command];
  return planned && planned.length ? planned.shift() : 0;
}

function newId() {
  const number = behaviour.id.next++;
  return behaviour.id.prefix + number.toString(behaviour.id.base);
}

function serve(session, number, pdu) {
  if (pdu.isResponse() || behaviour.mute.includes(pdu.command)) return;
  const fields = { command_status: nextStatus(pdu.command) };
  if (pdu.command.startsWith('bind_')) {
    const known = behaviour.credentials;
    const refused = known && (pdu.system_id !== known[0] || pdu.password !== known[1]);
    fields.command_status = refused ? smpp.ESME_RINVPASWD : behaviour.bind_status;
    fields.system_id = 'npm';
    fields.sc_interface_version = 0x34;
  } else if (['submit_sm', 'data_sm', 'submit_multi'].includes(pdu.command) && !fields.command_status) {
    fields.message_id = newId();
  }
  const response = pdu.response(fields);
  say({ event: 'answered', session: number, command: pdu.command, status: fields.command_status, id: fields.message_id });
  session.send(response);
  if (pdu.command === 'unbind') session.close();
}

function adopt(session) {
  const number = ++sessionCount;
  sessions.set(number, session);
  session.on('pdu', (pdu) => {
    say({ event: 'pdu', session: number, pdu: toJson(plain(pdu)) });
    serve(session, number, pdu);
  });
  session.on('close', () => say({ event: 'close', session: number }));
  session.on('error', (error) => say({ event: 'error', session: number, error: String(error.code || error.message) }));
  return number;
}

function plain(pdu) {
  return Object.fromEntries(Object.entries(pdu).filter(([key]) => typeof pdu[key] !== 'function'));
}

// Sends `count` requests with never more than `window` unanswered; tells what came back.
function flood(session, command, fields, count, window, done) {
  const ids = [];
  const errors = [];
  let sent = 0;
  let unanswered = 0;
  let most = 0;
  const fill = () => {
    while (sent < count && unanswered < window) {
      sent += 1;
      unanswered += 1;
      most = Math.max(most, unanswered);
      session.send(new smpp.PDU(command, fromJson(fields)), (response) => {
        unanswered -= 1;
        if (response.command_status) errors.push(response.command_status);
        else ids.push(response.message_id);
        if (ids.length + errors.length === count) done({ ids, errors, most });
        else fill();
      });
    }
  };
  fill();
}

const commands = {
  listen(order, done) {
    const options = order.key ? { key: fs.readFileSync(order.key), cert: fs.readFileSync(order.cert) } : {};
    server = smpp.createServer(options, (session) => {
      const number = adopt(session);
      say({ event: 'session', session: number });
    });
    server.listen(order.port || 0, '127.0.0.1', () => done({ port: server.address().port }));
  },
  unlisten(order, done) {
    server.close();
    done({});
  },
  behave(order, done) {
    Object.assign(behaviour, order.behaviour);
    done({});
  },
  encoding(order, done) {
    smpp.encodings.default = order.default; // what data_coding 0 means
    done({});
  },
  connect(order, done) {
    const options = { host: '127.0.0.1', port: order.port, tls: Boolean(order.ca) };
    if (order.ca) Object.assign(options, { ca: fs.readFileSync(order.ca), servername: 'localhost' });
    const session = smpp.connect(options);
    const number = adopt(session);
    session.once(order.ca ? 'secureConnect' : 'connect', () => done({ session: number }));
    session.once('error', (error) => done({ error: String(error.code || error.message) }));
  },
  send(order, done) {
    const pdu = new smpp.PDU(order.command, fromJson(order.fields));
    const sent = sessions.get(order.session).send(pdu, (response) => done({ pdu: toJson(plain(response)) }));
    if (!sent) done({ error: 'not connected' });
  },
  post(order, done) {
    // As send, for commands without an answer, and where none is expected.
    sessions.get(order.session).send(new smpp.PDU(order.command, fromJson(order.fields)));
    done({});
  },
  flood(order, done) {
    flood(sessions.get(order.session), order.command, order.fields, order.count, order.window, done);
  },
  close(order, done) {
    sessions.get(order.session).close(() => done({}));
  },
  destroy(order, done) {
    sessions.get(order.session).destroy(() => done({}));
  },
  version(order, done) {
    done({ node: process.version, smpp: require('smpp/package.json').version, tls: tls.DEFAULT_MAX_VERSION });
  },
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  try {
    commands[order.do](order, (result) => say({ answer: order.number, ...result }));
  } catch (error) {
    say({ answer: order.number, error: String(error.message) });
  }
}).on('close', () => process.exit(0));
