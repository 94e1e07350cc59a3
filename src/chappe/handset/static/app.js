// The handset page: asks for what changed every second while the tab is seen, and shows it as phones do.
// Whatever comes from a message is put in with textContent only.
"use strict";

const POLL_MS = 1000;
const MESSAGES_MAX = 10000; // as many as the handset keeps
const byId = (id) => document.getElementById(id);
const messages = new Map(); // id -> message
const sent = new Map(); // number -> replies of that phone, the oldest first
let revision = 0;
let open = "";
let timer = 0;
let polling = false;

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || "status " + answer.status);
  return value;
}

// -- polling

async function poll() {
  if (polling || document.hidden) return;
  polling = true;
  clearTimeout(timer);
  try {
    let feed;
    let changed = !byId("status").dataset.up;
    do {
      feed = await call("GET", "/handset/feed?after=" + revision);
      if (feed.whole) {
        changed = changed || messages.size > 0;
        messages.clear();
        sent.clear();
      }
      for (const reply of feed.replies) {
        if (!sent.has(reply.from)) sent.set(reply.from, []);
        sent.get(reply.from).push(reply);
      }
      for (const message of feed.messages) messages.set(message.id, message);
      changed = changed || feed.messages.length > 0 || feed.replies.length > 0;
      revision = feed.revision;
    } while (feed.more);
    prune();
    if (changed) show();
    byId("status").dataset.up = "yes";
    byId("status").textContent = summary(feed);
    showChaos(feed.chaos);
  } catch (error) {
    byId("status").textContent = "No connection: " + error.message + ". Trying again.";
  } finally {
    polling = false;
    timer = setTimeout(poll, POLL_MS);
  }
}

const plural = (count, word) => count + " " + word + (count === 1 ? "" : "s");

// How many messages there are, and what no phone shows: what was refused.
function summary(feed) {
  const { count, last } = feed.refused;
  const kept = plural(messages.size, "message");
  if (!count) return kept;
  const newest = last.length ? ", the last to " + last[0].to + " with " + last[0].status : "";
  return kept + ". " + count + " refused when submitted" + newest;
}

function showChaos(keys) {
  const button = byId("open-chaos");
  button.textContent = keys.length ? "Chaos (" + keys.length + " on)" : "Chaos";
  button.classList.toggle("changed", keys.length > 0);
  button.title = keys.map((key) => key.replaceAll("_", " ")).join(", ");
}

function prune() {
  if (messages.size <= MESSAGES_MAX) return;
  const ids = [...messages.keys()].sort(byNumber);
  for (const id of ids.slice(0, messages.size - MESSAGES_MAX)) messages.delete(id);
}

const byNumber = (one, other) => one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);

// -- conversations

function conversations() {
  const found = new Map();
  for (const message of [...messages.values()].sort((one, other) => byNumber(one.id, other.id))) {
    if (!found.has(message.to)) found.set(message.to, []);
    found.get(message.to).push(message);
  }
  return found;
}

function show() {
  const wanted = byId("search").value.trim().toLowerCase();
  const all = conversations();
  const list = byId("conversations");
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.number : "";
  list.replaceChildren();
  const lines = [...all].reverse().sort((one, other) => byNumber(other[1].at(-1).id, one[1].at(-1).id));
  for (const [number, those] of lines) {
    const last = those.at(-1);
    const fits = !wanted || number.includes(wanted) || those.some((each) => each.text.toLowerCase().includes(wanted));
    if (!fits) continue;
    const button = make("button");
    button.type = "button";
    button.dataset.number = number;
    if (number === open) button.setAttribute("aria-current", "true");
    const top = make("span", "top");
    top.append(make("strong", "", number), time(last.received_at));
    button.append(top, make("span", "preview", last.from + ": " + last.text));
    button.addEventListener("click", () => choose(number));
    const item = make("li");
    item.append(button);
    list.append(item);
    if (number === focused) button.focus();
  }
  byId("nothing").hidden = all.size > 0;
  if (!open && lines.length && window.matchMedia("(min-width: 44.01rem)").matches) choose(lines[0][0]);
  else showPhone(all.get(open) || []);
}

function choose(number) {
  const changed = open !== number;
  open = number;
  document.body.classList.add("open");
  if (changed) byId("reply-to").value = "";
  show();
  byId("bubbles").scrollTop = byId("bubbles").scrollHeight;
}

function showPhone(those) {
  const phone = byId("phone");
  phone.hidden = !open || (!those.length && !sent.has(open));
  if (phone.hidden) {
    document.body.classList.remove("open");
    return;
  }
  byId("number").textContent = open;
  const bubbles = byId("bubbles");
  const atEnd = bubbles.scrollHeight - bubbles.scrollTop - bubbles.clientHeight < 60;
  const replies = (sent.get(open) || []).map((reply) => ({ mine: true, ...reply }));
  const lines = [...those, ...replies].sort((one, other) => byNumber(one.id, other.id));
  bubbles.replaceChildren(...lines.map((line) => (line.mine ? mine(line) : bubble(line))));
  if (atEnd) bubbles.scrollTop = bubbles.scrollHeight;
  if (!byId("reply-to").value && those.length) byId("reply-to").value = those.at(-1).from;
}

function time(iso) {
  const element = make("time", "", new Date(iso).toLocaleTimeString());
  element.dateTime = iso;
  element.title = iso;
  return element;
}

const STATES = {
  delivered: ["delivered", "good"], in_transit: ["on its way", "wait"], undelivered: ["undelivered", "bad"],
  expired: ["expired", "bad"], rejected: ["rejected", "bad"], deleted: ["called back", "bad"],
  unknown: ["unknown", "wait"], mixed: ["parts differ", "wait"],
};
const RECEIPTS = { not_asked: "no receipt asked", pending: "receipt not taken yet", acknowledged: "receipt taken" };

function bubble(message) {
  const item = make("li");
  const text = make("div", "bubble" + (message.encoding === "binary" ? " binary" : ""), message.text || "(empty)");
  text.dir = "auto";
  const meta = make("div", "meta");
  const [word, look] = STATES[message.state] || [message.state, "wait"];
  const parts = message.parts === 1 ? "1 part" : message.parts + " parts";
  const missing = message.missing.length ? " (missing " + message.missing.join(", ") + ")" : "";
  const details = make("button", "", "Details");
  details.type = "button";
  details.addEventListener("click", () => detail(message.id));
  meta.append(
    make("strong", "", message.from), time(message.received_at),
    make("span", "", parts + missing + ", " + message.encoding + (message.flash ? ", flash" : "")),
    make("span", look, word), make("span", "", RECEIPTS[message.receipt] || message.receipt), details,
  );
  item.append(text, meta);
  return item;
}

function mine(reply) {
  const item = make("li", "mine");
  const text = make("div", "bubble", reply.text);
  text.dir = "auto";
  const meta = make("div", "meta");
  meta.append(make("span", "", "to " + reply.to), time(reply.at));
  item.append(text, meta);
  return item;
}

async function detail(id) {
  try {
    byId("raw").textContent = JSON.stringify(await call("GET", "/handset/messages/" + id), null, 2);
  } catch (error) {
    byId("raw").textContent = error.message;
  }
  byId("details").showModal();
}

// -- replies

async function reply(text) {
  const answer = byId("reply-answer");
  const to = byId("reply-to").value.trim();
  const from = open;
  try {
    await call("POST", "/handset/replies", { from, to, text });
    answer.textContent = "";
    await poll();
    byId("bubbles").scrollTop = byId("bubbles").scrollHeight;
    return true;
  } catch (error) {
    answer.textContent = "Not sent: " + error.message;
    return false;
  }
}

byId("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("reply-text");
  if (await reply(text.value)) text.value = "";
});
byId("reply-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("reply").requestSubmit();
  }
});
byId("stop").addEventListener("click", () => reply("STOP"));

// -- chaos and magic numbers

const CHOICES = {
  receipt_outcome: ["delivered", "undelivered", "expired", "rejected", "deleted", "unknown", "none"],
  receipt_then: ["none", "delivered", "undelivered", "expired", "rejected", "deleted", "unknown"],
  receipt_shape: ["text+tlv", "text", "tlv", "payload"],
  receipt_parts: ["all", "first", "last"],
  intermediate: ["asked", "always", "only"],
  reply_parts: ["ordered", "shuffled", "repeated", "missing"],
  response_id_format: ["decimal", "hex", "padded", "upper", "hex_padded", "uuid", "uuid_upper"],
  receipt_id_format: ["decimal", "hex", "padded", "upper", "hex_padded", "uuid", "uuid_upper"],
  response_fault: [
    null, "sequence_zero", "sequence_unknown", "repeated", "wrong_type", "error_body", "nack", "nack_without_sequence",
  ],
};
let calm = {};

async function loadTables() {
  const tables = await call("GET", "/handset/switches");
  calm = tables.calm;
  const rows = tables.magic.map((line) => {
    const row = make("tr");
    const number = make("button", "", line.number);
    number.type = "button";
    number.title = "Copy";
    number.addEventListener("click", () => copy(line.number));
    const cell = make("td");
    cell.append(number);
    row.append(cell, make("td", "", line.does));
    return row;
  });
  byId("magic-rows").replaceChildren(...rows);
  byId("switches").replaceChildren(...Object.entries(tables.switches).map(([key, help]) => field(key, help)));
  fill(await call("GET", "/handset/chaos"));
}

async function copy(number) {
  try {
    await navigator.clipboard.writeText(number);
    byId("magic-answer").textContent = number + " is copied.";
  } catch {
    byId("magic-answer").textContent = "The browser lets nothing be copied; the number is " + number;
  }
}

function field(key, help) {
  const label = make("label");
  label.dataset.key = key;
  let input;
  if (CHOICES[key]) {
    input = make("select");
    for (const choice of CHOICES[key]) input.append(new Option(choice === null ? "none" : choice, JSON.stringify(choice)));
  } else {
    input = make("input");
    input.type = calm[key] === true || calm[key] === false ? "checkbox" : "text";
  }
  input.addEventListener("change", () => change(key, input));
  const answer = make("output", "");
  answer.setAttribute("role", "status");
  label.append(make("span", "", key.replaceAll("_", " ")), input, make("small", "", help), answer);
  return label;
}

function fill(chaos) {
  for (const label of byId("switches").children) {
    const key = label.dataset.key;
    const input = label.querySelector("input, select");
    const value = chaos[key];
    if (input.type === "checkbox") input.checked = value;
    else if (CHOICES[key]) input.value = JSON.stringify(value);
    else input.value = value === null ? "" : key.endsWith("status") ? "0x" + value.toString(16).padStart(2, "0") : typeof value === "object" ? JSON.stringify(value) : String(value);
    label.classList.toggle("changed", JSON.stringify(value) !== JSON.stringify(calm[key]));
  }
}

function wish(key, input) {
  if (input.type === "checkbox") return input.checked;
  if (CHOICES[key]) return JSON.parse(input.value);
  const text = input.value.trim();
  if (text === "") return calm[key];
  try {
    return JSON.parse(text);
  } catch {
    return text; // the server says what it wants instead
  }
}

// The answer stands beside the field that it is about.
async function change(key, input) {
  const answer = input.closest("label").querySelector("output");
  try {
    fill(await call("POST", "/handset/chaos", { [key]: wish(key, input) }));
    answer.textContent = "Set.";
    input.removeAttribute("aria-invalid");
  } catch (error) {
    answer.textContent = "Not set: " + error.message;
    input.setAttribute("aria-invalid", "true");
  }
  poll();
}

byId("calm").addEventListener("click", async () => {
  fill(await call("DELETE", "/handset/chaos"));
  for (const answer of byId("switches").querySelectorAll("output")) answer.textContent = "";
  for (const input of byId("switches").querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  byId("chaos-answer").textContent = "All switches are reset.";
  poll();
});
for (const name of ["chaos", "magic"]) {
  byId("open-" + name).addEventListener("click", async (event) => {
    const panel = byId(name);
    panel.hidden = !panel.hidden;
    event.target.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) await loadTables();
  });
}

// -- the rest

byId("clear").addEventListener("click", async () => {
  if (!window.confirm("Delete all messages on all phones?")) return;
  await call("DELETE", "/handset/messages");
  sent.clear();
  open = "";
  revision = 0;
  messages.clear();
  show();
  poll();
});
byId("search").addEventListener("input", show);
byId("back").addEventListener("click", () => {
  open = "";
  document.body.classList.remove("open");
  show();
});
byId("close").addEventListener("click", () => byId("details").close());
document.addEventListener("visibilitychange", poll);
poll();
