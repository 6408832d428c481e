// The middle and the thread: a frame for each place, filled again whenever something happened there.

import { composer } from "./composer.js";
import { button, h, reconcile } from "./dom.js";
import { drawMessages, visible } from "./messages.js";
import { drawHome } from "./modal.js";
import { channelName } from "./sidebar.js";

export function drawMain(root, app) {
  const { room, screen } = app;
  const isBot = app.at !== null && app.at === screen.dm;
  const sees = isBot || room?.member;
  const key = JSON.stringify([app.as, app.place, app.at, sees, room?.archived]);
  if (root.dataset.key !== key) {
    root.dataset.key = key;
    root.replaceChildren(...frame(app, { isBot, sees }));
  }
  reconcile(root.querySelector(".breaches"), breaches(screen.breaches));
  const log = root.querySelector(".log");
  if (log) drawMessages(log, visible(isBot ? screen.dms : room.messages, screen, app.at), app);
  const home = root.querySelector(".home");
  if (home) drawHome(home, screen.home, app);
}

function frame(app, { isBot, sees }) {
  const about = h("div", { class: "breaches" });
  if (!sees) return [header(app, isBot), about, unseen(app)];
  if (app.place === "home") return [header(app, isBot), about, h("div", { class: "home", role: "tabpanel", "aria-label": "Home" })];
  const name = isBot ? "Gatehouse" : `#${app.room.name}`;
  const log = h("div", { class: "log", role: "log", "aria-label": `Messages in ${name}`, tabindex: "0" });
  const box = app.room?.archived ? h("p", { class: "closed" }, "This channel is archived.") : composer(app, { room: app.at, name });
  return [header(app, isBot), about, log, box];
}

function header(app, isBot) {
  if (isBot) return h("header", { class: "place" }, h("h2", {}, "Gatehouse"), h("span", { class: "badge" }, "APP"), tabs(app));
  const { room } = app;
  if (!room) return h("header", { class: "place" }, h("h2", {}, app.place));
  const about = [`${room.people} people`, room.bot ? null : "Gatehouse is not in this channel"].filter(Boolean).join(" · ");
  return h("header", { class: "place" }, h("h2", {}, channelName(room)), h("small", {}, about));
}

function tabs(app) {
  const tab = (name, place) => button(name, {
    role: "tab", "aria-selected": String(app.place === place), on: { click: () => app.go({ place }) },
  });
  return h("div", { class: "tabs", role: "tablist" }, tab("Home", "home"), tab("Messages", "gatehouse"));
}

function unseen(app) {
  const { me } = app.screen;
  const text = me.kind === "deleted" ? `${me.name}'s account is deactivated: it can't use Slack.`
    : app.room ? `${me.name} is not a member of this channel and sees nothing of it.`
      : `There is nothing called “${app.place}” that ${me.name} can see.`;
  return h("div", { class: "unseen" }, h("p", {}, text), app.screen.dm
    ? button("Open the messages with Gatehouse", { class: "button", on: { click: () => app.go({ place: "gatehouse" }) } }) : null);
}

/** What Slack did not let through because it broke its limits. */
function breaches(list) {
  const last = list.slice(-3);
  return last.map((each, number) => ({
    key: number, sign: JSON.stringify(each),
    make: () => h("p", { class: "complaint", role: "note" }, h("b", {}, `Slack's limits refused ${each.method} (${each.error}). `), each.messages.join(" · ")),
  }));
}

export function drawThread(root, app) {
  const messages = app.at === app.screen.dm ? app.screen.dms : app.room?.messages ?? [];
  const first = app.thread ? messages.find((message) => message.ts === app.thread) : null;
  root.hidden = !first || app.place === "home";
  if (root.hidden) { root.dataset.key = ""; return; }
  const key = app.placeKey(app.thread);
  if (root.dataset.key !== key) {
    root.dataset.key = key;
    root.replaceChildren(...threadFrame(app));
  }
  drawMessages(root.querySelector(".log"), visible([first, ...first.replies], app.screen, app.at, app.thread), app, { thread: app.thread });
}

function threadFrame(app) {
  const name = app.at === app.screen.dm ? "Gatehouse" : `#${app.room.name}`;
  return [
    h("header", {}, h("h2", {}, "Thread"), h("small", {}, name),
      button("×", { class: "plain", "aria-label": "Close the thread", on: { click: () => app.closeThread() } })),
    h("div", { class: "log", role: "log", "aria-label": "Messages in the thread", tabindex: "0" }),
    app.room?.archived ? null : composer(app, { room: app.at, name, thread: app.thread }),
  ].filter(Boolean);
}
