// The local Slack: who one acts as, where one looks, and the beat in which the screen is asked for.

import { gesture, page } from "./api.js";
import { Calls } from "./calls.js";
import { h } from "./dom.js";
import { drawMain, drawThread } from "./frames.js";
import { confirmed, drawModal } from "./modal.js";
import { drawTop } from "./picker.js";
import { Reading } from "./reading.js";
import { drawSidebar } from "./sidebar.js";

const BEAT = 500; // milliseconds between two looks
const byId = (id) => document.getElementById(id);

class App {
  constructor() {
    const query = new URLSearchParams(location.search);
    this.as = query.get("as") || "ada";
    this.place = query.get("at") || "access-requests"; // a channel's name, "gatehouse" or "home"
    this.thread = query.get("thread");
    this.drafts = new Map();
    this.typed = new Map(); // what stands in the inputs of a view or message
    this.reading = new Reading(this);
    this.calls = new Calls(this);
    this.callsOpen = sessionStorage.getItem("calls") !== "hidden";
    this.callsConnected = false;
    this.recent = JSON.parse(sessionStorage.getItem("recent") ?? '["ada", "grace", "mei", "tomas", "omar"]');
    this.toldUntil = null;
  }

  async start() {
    this.remember();
    for (;;) {
      await this.look();
      await this.lookAtCalls();
      await new Promise((settle) => setTimeout(settle, BEAT));
    }
  }

  // what there is

  get at() {
    if (this.place === "gatehouse" || this.place === "home") return this.screen.dm;
    return this.screen.rooms.find((room) => room.name === this.place)?.id ?? null;
  }

  get room() {
    return this.screen.rooms.find((room) => room.id === this.at) ?? null;
  }

  /** What the drawing of texts needs to know of the world. */
  get env() {
    const { people, groups } = this.directory;
    return {
      me: this.screen.me,
      zone: this.screen.me.timezone,
      now: this.screen.now,
      person: (id) => this.byId.get(id),
      handle: (handle) => people.find((person) => person.handle === handle),
      people: () => people,
      group: (id) => groups[id],
      room: (id) => this.screen.rooms.find((room) => room.id === id),
      rooms: () => this.screen.rooms,
      follow: (address) => this.follow(address),
    };
  }

  placeKey(thread) {
    return `${this.as}/${this.place}/${thread ?? ""}`;
  }

  // looking

  /** Ask for the screen, one question at a time; a call while one is under way asks once more after it. */
  look() {
    this.looking = (this.looking ?? Promise.resolve()).then(() => this.ask());
    return this.looking;
  }

  async ask() {
    const as = this.as;
    try {
      const screen = await page("screen", { as, version: this.screen?.me.handle === as ? this.screen.version : "" });
      if (as !== this.as) return;
      byId("toasts").querySelector(".offline")?.remove();
      if (!screen.me) return;
      if (this.peopleVersion !== screen.people) await this.meet(screen.people);
      this.screen = screen;
      this.draw();
    } catch (trouble) {
      this.offline(trouble);
    }
  }

  async meet(version) {
    this.directory = await page("people");
    this.byId = new Map(this.directory.people.map((person) => [person.id, person]));
    this.peopleVersion = version;
  }

  async lookAtCalls() {
    const connected = await this.calls.look().catch(() => this.callsConnected);
    const turned = connected !== this.callsConnected;
    this.callsConnected = connected;
    if (!this.screen) return;
    if (turned) this.draw();
    else this.calls.draw(byId("calls"));
  }

  offline(trouble) {
    if (trouble.name === "Refused" || !byId("toasts").querySelector(".offline")) {
      byId("toasts").querySelector(".offline")?.remove();
      byId("toasts").append(h("p", { class: "toast offline" }, `The sandbox does not answer: ${trouble.message}`));
    }
  }

  draw() {
    this.reading.mark();
    drawTop(byId("top"), this);
    drawSidebar(byId("sidebar"), this);
    drawMain(byId("main"), this);
    drawThread(byId("thread"), this);
    this.calls.draw(byId("calls"));
    byId("aside").hidden = byId("thread").hidden && byId("calls").hidden;
    drawModal(this.screen.modals.at(-1), this);
    this.tell();
    const unread = this.reading.inDm() ? "• " : "";
    document.title = `${unread}${this.screen.me.name} · ${this.place} · Local Slack`;
  }

  /** What Slack says that belongs to no channel. */
  tell() {
    const news = this.screen.notices.filter((notice) => !notice.channel && Number(notice.ts) > (this.toldUntil ?? Infinity));
    this.toldUntil = Math.max(0, ...this.screen.notices.map((notice) => Number(notice.ts)));
    if (!this.screen.modals.at(-1)?.trouble) news.forEach((notice) => this.toast(notice.text));
  }

  toast(text) {
    const shown = h("p", { class: "toast", role: "alert" }, text);
    byId("toasts").append(shown);
    setTimeout(() => shown.remove(), 8000);
  }

  // going about

  go({ at, place, thread = null }) {
    const room = this.screen.rooms.find((each) => each.id === at);
    this.place = place ?? (room ? room.name : "gatehouse");
    this.thread = thread;
    this.remember();
    this.draw();
    if (at === this.screen.dm || place) this.openedApp();
  }

  /** Slack tells the app when somebody opens its Home or its messages. */
  openedApp() {
    this.act("event", { type: "app_home_opened", tab: this.place === "home" ? "home" : "messages" });
  }

  openThread(message) {
    this.thread = message.thread ?? message.ts;
    this.remember();
    this.draw();
    byId("thread").querySelector("textarea")?.focus();
  }

  closeThread() {
    this.thread = null;
    this.remember();
    this.draw();
  }

  async actAs(handle) {
    const waits = this.waiting().has(this.env.handle(handle)?.id);
    this.as = handle;
    this.thread = null;
    if (waits) this.place = "gatehouse";
    await this.look();
    if (!this.room?.member && this.screen.dm) this.place = this.place === "home" ? "home" : "gatehouse";
    this.remember();
    this.draw();
  }

  remember() {
    const query = new URLSearchParams({ as: this.as, at: this.place, ...(this.thread ? { thread: this.thread } : {}) });
    history.replaceState(null, "", `?${query}`);
    if (!this.recent.includes(this.as)) this.recent = [this.as, ...this.recent].slice(0, 6);
    sessionStorage.setItem("recent", JSON.stringify(this.recent));
  }

  showCalls(open) {
    this.callsOpen = open;
    sessionStorage.setItem("calls", open ? "shown" : "hidden");
    this.draw();
  }

  /** A permalink of this workspace leads to the message here; tells whether it was one. */
  follow(address) {
    const link = URL.canParse(address) ? new URL(address) : null;
    const found = link?.pathname.match(/^\/archives\/([A-Z0-9]+)\/p(\d+)(\d{6})$/);
    if (!found || link.host !== this.directory.domain) return false;
    const [, at, seconds, micros] = found;
    const room = this.screen.rooms.find((each) => each.id === at);
    if (!room?.member && at !== this.screen.dm) this.toast(`${this.screen.me.name} is not in that channel.`);
    else this.go({ at, thread: link.searchParams.get("thread_ts") ?? `${seconds}.${micros}` });
    return true;
  }

  // what is unread

  unreadIn(id, messages) {
    return this.reading.count(id, messages);
  }

  isUnread(message) {
    return this.reading.threadIsNew(message);
  }

  waiting() {
    return this.reading.waiting();
  }

  // doing

  surfaceOfView(view) {
    return this.surface(view.id, { view_id: view.id }, view.errors);
  }

  surfaceOfMessage(message) {
    return this.surface(message.ts, { channel: message.channel, ts: message.ts }, {});
  }

  surface(key, where, errors) {
    if (!this.typed.has(key)) this.typed.set(key, {});
    const values = this.typed.get(key);
    const about = (el, block) => ({ ...where, action_id: el.action_id, block_id: block.block_id, values });
    return {
      values, errors, env: this.env,
      press: async (el, block, value, node) => {
        if (el.confirm && !(await confirmed(el.confirm, this.env))) return;
        await this.act("click", { ...about(el, block), value }, node);
      },
      suggest: async (el, block, text) => {
        try {
          return await gesture("suggest", { user: this.as, ...about(el, block), value: text });
        } catch (refused) {
          return { options: [], error: refused.message };
        }
      },
    };
  }

  /** Do something, and show what went wrong at the edge of the screen. */
  async act(verb, body, node) {
    const wrong = await this.try(verb, body, node);
    if (wrong) this.toast(wrong);
  }

  /** Do something as the chosen person; gives what went wrong, or null. */
  async try(verb, body, node = null) {
    busy(node, true);
    try {
      await gesture(verb, { ...body, user: this.as });
      return null;
    } catch (refused) {
      return refused.message;
    } finally {
      busy(node, false);
      await this.look();
    }
  }
}

function busy(node, is) {
  if (!node) return;
  node.toggleAttribute("aria-busy", is);
  if (is) node.setAttribute("aria-busy", "true");
  if ("disabled" in node) node.disabled = is;
}

new App().start();
