// The sidebar: the channels and direct messages of one person, and what they can't see.

import { avatar, button, h, reconcile } from "./dom.js";

export function drawSidebar(root, app) {
  const { screen } = app;
  const mine = screen.rooms.filter((room) => room.member);
  const others = screen.rooms.filter((room) => !room.member);
  reconcile(root, [
    { key: "name", sign: app.directory.workspace, make: () => h("h1", {}, app.directory.workspace) },
    heading("Channels"),
    ...mine.map((room) => entry(app, room.id, channelName(room), app.unreadIn(room.id, room.messages))),
    ...(others.length ? [heading("Not a member, sees nothing")] : []),
    ...others.map((room) => entry(app, room.id, channelName(room), 0, "greyed")),
    ...(screen.dm ? [heading("Direct messages"), bot(app)] : []),
    ...(screen.dm ? [] : [{ key: "gone", sign: app.as, make: () => h("p", { class: "aside-note" }, "This account is deactivated: it can't use Slack.") }]),
    note(app),
  ]);
}

export function channelName(room) {
  return [h("span", { class: "sign", "aria-hidden": "true" }, room.private ? "🔒" : "#"), h("span", {}, room.name),
    room.shared ? h("small", { title: "Shared with another company" }, " ◇ shared") : null];
}

function heading(text) {
  return { key: `heading ${text}`, sign: text, make: () => h("h2", {}, text) };
}

function entry(app, id, name, unread, more = "") {
  const here = app.at === id;
  const sign = JSON.stringify([here, unread > 0, more, name.map((part) => part?.textContent)]);
  const label = unread ? { "data-unread": "yes" } : {};
  const make = () => button("", { class: `room ${more} ${unread ? "unread" : ""}`, "aria-current": here ? "page" : null, ...label, on: { click: () => app.go({ at: id }) } },
    name, unread ? h("span", { class: "hidden" }, " (unread)") : null);
  return { key: id, sign, make };
}

function bot(app) {
  const unread = app.unreadIn(app.screen.dm, app.screen.dms);
  const here = app.at === app.screen.dm;
  const make = () => button("", { class: `room ${unread ? "unread" : ""}`, "aria-current": here ? "page" : null, on: { click: () => app.go({ at: app.screen.dm }) } },
    avatar({ kind: "bot" }, "small"), h("span", {}, "Gatehouse"), h("span", { class: "badge" }, "APP"),
    unread ? h("span", { class: "count", "aria-label": `${unread} unread` }, String(unread)) : null);
  return { key: app.screen.dm, sign: JSON.stringify([here, unread]), make };
}

function note(app) {
  const { name, kind } = app.env.me;
  const known = { guest: "a guest: only their own channels are listed", stranger: "from another company", deleted: "deactivated" }[kind];
  const text = known ? `${name} is ${known}.` : "Private channels one is not in are not listed at all.";
  return { key: "note", sign: text, make: () => h("p", { class: "aside-note" }, text) };
}
