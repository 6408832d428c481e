// Messages of a channel or thread: who, when, blocks, replies, and the menu of a message.

import { blocks } from "./blocks.js";
import { avatar, button, h, openMenu, reconcile } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { clock, dayName, whole } from "./times.js";

const SLACKBOT = { id: "USLACKBOT", name: "Slackbot", kind: "member" };
const TOGETHER = 300; // seconds within which messages of one person stand under one name

/** Redraw a list of messages in `root`, with the days between them; what did not change is left alone. */
export function drawMessages(root, messages, app, { thread = null } = {}) {
  if (!root.dataset.place) followEnd(root);
  if (root.dataset.place !== app.placeKey(thread)) root.dataset.end = "yes";
  root.dataset.place = app.placeKey(thread);
  reconcile(root, rows(messages, app, thread));
  toEnd(root);
}

/** Whoever is at the end stays there, also when the list gets less room; whoever reads further up is left alone. */
function followEnd(root) {
  root.addEventListener("scroll", () => {
    root.dataset.end = root.scrollHeight - root.scrollTop - root.clientHeight < 60 ? "yes" : "no";
  });
  new ResizeObserver(() => toEnd(root)).observe(root);
}

function toEnd(root) {
  if (root.dataset.end === "yes") root.scrollTop = root.scrollHeight;
}

function rows(messages, app, thread) {
  const found = [];
  let before = null;
  for (const message of messages) {
    const day = dayName(Number(message.ts), app.env);
    if (!before || dayName(Number(before.ts), app.env) !== day) {
      if (!thread) found.push({ key: `day ${day}`, sign: day, make: () => h("div", { class: "day" }, h("span", {}, day)) });
      before = null;
    }
    const follows = joins(before, message);
    const sign = JSON.stringify([message, follows, app.env.me.id, app.peopleVersion, app.isUnread(message)]);
    found.push({ key: message.ts, sign, make: () => draw(message, app, { thread, follows }) });
    if (thread && message.ts === thread && messages.length > 1) found.push(divider(messages.length - 1));
    before = message;
  }
  return found;
}

function divider(count) {
  const text = `${count} ${count === 1 ? "reply" : "replies"}`;
  return { key: "replies", sign: text, make: () => h("div", { class: "replies-line" }, h("span", {}, text)) };
}

function joins(before, message) {
  if (!before || before.reply_count || message.ephemeral !== before.ephemeral || message.notice || before.notice) return false;
  return before.user === message.user && Number(message.ts) - Number(before.ts) < TOGETHER && !message.blocks;
}

function draw(message, app, { thread, follows }) {
  const author = message.notice ? SLACKBOT : app.env.person(message.user) ?? { id: message.user, name: message.user };
  const moment = Number(message.ts);
  const time = h("time", { title: whole(moment, app.env) }, clock(moment, app.env.zone));
  const isApp = author.kind === "bot";
  const head = follows ? null : h("div", { class: "head" }, h("b", {}, author.name), isApp ? h("span", { class: "badge" }, "APP") : null, time);
  const only = message.ephemeral ? h("div", { class: "only" }, "👁 Only visible to you") : null;
  const body = h("div", { class: "body" }, only, head, content(message, app), complaints(message.complaints), replies(message, app, thread));
  const side = follows ? h("span", { class: "gutter" }, time) : avatar(author);
  const label = `${author.name}, ${clock(moment, app.env.zone)}`;
  return h("article", { class: `message${message.ephemeral ? " ephemeral" : ""}`, "aria-label": label, "data-ts": message.ts },
    side, body, message.ephemeral ? null : tools(message, app, thread));
}

function content(message, app) {
  const edited = message.edited ? h("small", { class: "edited" }, " (edited)") : null;
  if (!message.blocks?.length) return h("div", { class: "text" }, mrkdwn(message.text ?? "", app.env), edited);
  return h("div", { class: "blocks" }, blocks(message.blocks, app.surfaceOfMessage(message)), edited);
}

/** What Slack's limits would not let through, in red. */
export function complaints(list) {
  if (!list?.length) return null;
  return h("div", { class: "complaint", role: "note" }, h("b", {}, "Breaks Slack's limits: "), list.join(" · "));
}

function replies(message, app, thread) {
  if (thread || !message.replies?.length) return null;
  const count = message.replies.length;
  const authors = [...new Set(message.replies.map((reply) => reply.user))].slice(0, 4);
  const last = Number(message.replies.at(-1).ts);
  const unread = app.isUnread(message);
  const text = `${count} ${count === 1 ? "reply" : "replies"}`;
  return button(text, { class: unread ? "replies unread" : "replies", on: { click: () => app.openThread(message) } },
    authors.map((id) => avatar(app.env.person(id) ?? { id, name: id }, "small")), h("span", {}, text),
    h("small", {}, `Last reply ${dayName(last, app.env) === "Today" ? "today" : dayName(last, app.env)} at ${clock(last, app.env.zone)}`));
}

function tools(message, app, thread) {
  const shortcuts = app.directory.shortcuts.map(({ name, callback_id }) => ({
    text: `${name} — Gatehouse`,
    run: () => app.act("shortcut", { callback_id, ts: message.ts, channel: message.channel }),
  }));
  const reply = { text: "Reply in thread", run: () => app.openThread(message) };
  const open = (event) => openMenu(event.currentTarget, "Message actions", [...(thread ? [] : [reply]), ...shortcuts]);
  return h("div", { class: "tools" },
    thread ? null : button("💬", { "aria-label": "Reply in thread", title: "Reply in thread", on: { click: () => app.openThread(message) } }),
    button("⋮", { "aria-label": "More actions", title: "More actions", "aria-haspopup": "menu", on: { click: open } }));
}

/** The messages of a place, with what only this person sees, in order. */
export function visible(messages, screen, room, thread = null) {
  const own = screen.ephemerals.filter((each) => each.channel === room && (each.thread ?? null) === thread);
  const notices = thread ? [] : screen.notices.filter((each) => each.channel === room);
  const said = notices.map((each) => ({ ...each, notice: true, ephemeral: true, user: "USLACKBOT" }));
  return [...messages, ...own, ...said].sort((one, other) => Number(one.ts) - Number(other.ts));
}
