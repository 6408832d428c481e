// Slack's mrkdwn as DOM nodes. Nothing is ever parsed as HTML; what is no markup stays text.
// https://docs.slack.dev/messaging/formatting-message-text

import { h } from "./dom.js";
import { EMOJI, emoji } from "./emoji.js";
import { dated, whole } from "./times.js";

const JOINER = "\u2060"; // next to a sign it keeps the sign from being markup
const TAGS = { "*": "strong", _: "em", "~": "s" };
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
const QUOTE = /^(?:&gt;|>) ?/;
const SPECIAL = { channel: "@channel", here: "@here", everyone: "@everyone" };

/** Each entity once. */
export function decode(text) {
  return text.replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity]);
}

/** A fragment with the whole text: code blocks, quotes, and runs of text. */
export function mrkdwn(text, env) {
  const drawn = document.createDocumentFragment();
  text.split(/```([\s\S]+?)```/).forEach((part, number) => {
    if (number % 2) drawn.append(h("pre", {}, literal(part.replace(/^\n|\n$/g, ""), env)));
    else if (part) drawn.append(...paragraphs(number ? part.replace(/^\n/, "") : part, env));
  });
  return drawn;
}

function paragraphs(text, env) {
  const groups = [];
  for (const line of text.split("\n")) {
    const quoted = QUOTE.test(line);
    const last = groups.at(-1);
    if (last?.quoted === quoted) last.lines.push(line.replace(quoted ? QUOTE : "", ""));
    else groups.push({ quoted, lines: [line.replace(quoted ? QUOTE : "", "")] });
  }
  return groups.map(({ quoted, lines }) => h(quoted ? "blockquote" : "span", {}, inline(lines.join("\n"), env)));
}

/** A run of text: emphasis, code, links, mentions, dates and emoji. */
export function inline(text, env) {
  const nodes = [];
  let plain = "";
  const flush = () => { if (plain) nodes.push(decode(plain)); plain = ""; };
  for (let at = 0; at < text.length;) {
    const found = markAt(text, at, env);
    if (found) {
      flush();
      nodes.push(found.node);
      at = found.end;
    } else plain += text[at++];
  }
  flush();
  return nodes;
}

function markAt(text, at, env) {
  const sign = text[at];
  if (sign === "`") return matched(/`([^`\n]+)`/y, text, at, (code) => h("code", {}, literal(code, env)));
  if (sign === "<") return matched(/<([^<>\n]+)>/y, text, at, (inside) => angled(inside, env));
  if (sign === ":") return matched(new RegExp(EMOJI, "y"), text, at, (name) => emoji(name));
  return sign in TAGS ? emphasis(text, at, env) : null;
}

function matched(pattern, text, at, draw) {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  const node = found && draw(found[1]);
  return node ? { node, end: at + found[0].length } : null;
}

function emphasis(text, at, env) {
  const sign = text[at];
  const end = closing(text, at);
  if (end < 0 || /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  return { node: h(TAGS[sign], {}, inline(text.slice(at + 1, end), env)), end: end + 1 };
}

/** Where the emphasis that starts here ends on the same line; -1 when it is no emphasis. */
function closing(text, at) {
  const sign = text[at];
  if (/[\s\u2060]/.test(text[at + 1] ?? " ") || text[at + 1] === sign) return -1;
  for (let end = at + 2; end < text.length && text[end] !== "\n"; end++) {
    const after = text[end + 1] ?? "";
    if (text[end] === sign && !/[\s\u2060]/.test(text[end - 1]) && after !== JOINER && !/[\p{L}\p{N}]/u.test(after)) return end;
  }
  return -1;
}

/** Inside code nothing is bold, but links and mentions are still read. */
function literal(text, env) {
  return text.split(/<([^<>\n]+)>/).map((part, number) => (number % 2 ? angled(part, env) : decode(part)));
}

function angled(inside, env) {
  const [what, ...rest] = inside.split("|");
  const label = rest.length ? decode(rest.join("|")) : null;
  if (what.startsWith("@")) return person(what.slice(1), label, env);
  if (what.startsWith("#")) return channel(what.slice(1), label, env);
  if (what.startsWith("!")) return command(what.slice(1), label, env);
  return link(decode(what), label, env);
}

export function person(id, label, env) {
  const known = env.person(id);
  const mine = id === env.me.id;
  return h("span", { class: mine ? "mention mine" : "mention", title: known?.title }, `@${known?.name ?? label ?? id}`);
}

export function channel(id, label, env) {
  const room = env.room(id);
  return h("span", { class: "mention" }, room ? `#${room.name}` : label ? `#${label}` : "#private-channel");
}

/** A link that opens elsewhere, or goes to the message here when it is a permalink; anything but web and mail is text. */
export function link(address, label, env) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(address)) return `<${address}${label ? `|${label}` : ""}>`;
  const open = (event) => { if (env.follow(address)) event.preventDefault(); };
  const text = label ?? address.replace(/^mailto:/, "");
  return h("a", { href: address, title: address, target: "_blank", rel: "noopener noreferrer", on: { click: open } }, text);
}

export function broadcast(range) {
  return h("span", { class: "mention mine" }, SPECIAL[range] ?? `@${range}`);
}

function command(what, label, env) {
  if (what in SPECIAL) return broadcast(what);
  if (what.startsWith("subteam^")) return h("span", { class: "mention" }, label ?? `@${env.group(what.slice(8)) ?? "group"}`);
  if (what.startsWith("date^")) return date(what.split("^"), label, env);
  return label ?? `<!${what}>`;
}

function date([, moment, pattern, address], label, env) {
  const seconds = Number(moment);
  if (!Number.isFinite(seconds) || !pattern) return label ?? "";
  const shown = h("time", { title: whole(seconds, env) }, dated(seconds, decode(pattern), env));
  return address ? h("a", { href: address.match(/^https?:/) ? address : null }, shown) : shown;
}
