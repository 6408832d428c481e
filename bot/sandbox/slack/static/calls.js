// The panel "Calls to Atlassian": what the bot sent to the other sandbox, newest first.

import { page } from "./api.js";
import { button, h, reconcile } from "./dom.js";
import { clock } from "./times.js";

const MOST = 300;
const SHORT = /\/scim\/directory\/[^/]+|\/admin\/v\d+\/orgs\/[^/]+(?:\/directories\/[^/]+)?/;

export class Calls {
  constructor(app) {
    this.app = app;
    this.entries = [];
    this.onlyChanges = sessionStorage.getItem("only changes") !== "no";
    this.open = new Set();
  }

  /** Ask for what is new; tells whether the panel is there at all. */
  async look() {
    const onlyChanges = this.onlyChanges;
    const after = this.entries[0]?.number ?? 0;
    const found = await page("atlassian", { after, writes: onlyChanges ? 1 : 0 });
    if (onlyChanges !== this.onlyChanges) return found.connected; // switched meanwhile
    if (found.trouble) this.entries = [];
    this.trouble = found.trouble;
    this.entries = [...found.entries.reverse(), ...this.entries].slice(0, MOST);
    return found.connected;
  }

  turn() {
    this.onlyChanges = !this.onlyChanges;
    sessionStorage.setItem("only changes", this.onlyChanges ? "yes" : "no");
    this.entries = [];
    this.app.lookAtCalls();
  }

  draw(root) {
    root.hidden = !(this.app.callsConnected && this.app.callsOpen);
    if (root.hidden) return;
    if (!root.firstChild) this.frame(root);
    this.switch.checked = this.onlyChanges;
    const nothing = this.trouble ?? (this.onlyChanges ? "Nothing was changed yet. What the bot only read is hidden." : "No calls yet.");
    const rows = this.entries.map((entry) => ({ key: entry.number, sign: String(this.open.has(entry.number)), make: () => this.row(entry) }));
    reconcile(this.list, rows.length ? rows : [{ key: "nothing", sign: nothing, make: () => h("li", { class: "nothing" }, nothing) }]);
  }

  frame(root) {
    this.switch = h("input", { type: "checkbox", on: { change: () => this.turn() } });
    this.list = h("ol", { class: "calls-list" });
    root.append(
      h("header", {}, h("h2", {}, "Calls to Atlassian"), h("label", {}, this.switch, " only changes"),
        button("×", { class: "plain", "aria-label": "Hide the calls to Atlassian", on: { click: () => this.app.showCalls(false) } })),
      this.list);
  }

  row(entry) {
    const open = this.open.has(entry.number);
    const ok = entry.status !== null && entry.status < 400;
    const moment = clock(Date.parse(entry.time) / 1000, this.app.env.zone);
    const turn = () => { this.open[open ? "delete" : "add"](entry.number); this.draw(this.list.parentElement); };
    return h("li", { class: entry.applied ? "call applied" : "call" },
      button("", { class: "plain", "aria-expanded": String(open), title: entry.path, on: { click: turn } },
        h("span", { class: `method ${entry.method}` }, entry.method),
        h("span", { class: ok ? "status" : "status bad" }, entry.status === null ? "no answer" : String(entry.status)),
        h("span", { class: "path" }, shorter(entry.path)),
        h("small", {}, [moment, entry.credential === "none" ? entry.actor : `key ${entry.credential}`, entry.applied ? "changed something" : "changed nothing"].join(" · "))),
      open ? h("pre", {}, `${entry.method} ${entry.path}\n\n${entry.body === null ? "" : JSON.stringify(entry.body, null, 2)}`) : null);
  }
}

/** The path without what is the same in all of them. */
function shorter(path) {
  const rest = path.replace(SHORT, "…");
  return rest.length > 90 ? `${rest.slice(0, 89)}…` : rest;
}
