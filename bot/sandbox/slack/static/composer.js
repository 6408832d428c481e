// The message box: Enter sends, a slash lists the commands, an @ lists people.

import { button, h, unique } from "./dom.js";

const MOST = 8;

/** A box for one place; `app.drafts` keeps what was typed there while one looks elsewhere. */
export function composer(app, { room, name, thread = null }) {
  const key = `${app.as}/${room}/${thread ?? ""}`;
  const label = thread ? "Reply in thread" : `Message ${name}`;
  const hints = h("ul", { class: "hints", role: "listbox", id: unique("hints"), "aria-label": "Suggestions", hidden: true });
  const state = { offered: [], active: -1 };
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const box = h("textarea", {
    rows: 1, "aria-label": label, placeholder: thread ? "Reply…" : label, value: app.drafts.get(key) ?? "",
    "aria-controls": hints.id, "aria-autocomplete": "list", "data-field": `box ${key}`, spellcheck: "false",
    on: { input: typed, keydown, blur: hide, focus: grow },
  });
  const sendButton = button("Send", { class: "send", "aria-label": "Send", title: "Send now", on: { click: send } }, "➤");
  const root = h("div", { class: "composer" }, hints, h("div", { class: "box" }, box, sendButton), trouble,
    h("small", { class: "how" }, h("b", {}, "/access"), " asks Gatehouse · ", h("b", {}, "Enter"), " sends · ", h("b", {}, "Shift+Enter"), " new line"));
  requestAnimationFrame(grow);
  return root;

  function typed() {
    app.drafts.set(key, box.value);
    trouble.hidden = true;
    grow();
    offer();
  }

  function grow() {
    box.rows = Math.min(8, Math.max(1, box.value.split("\n").length + Math.floor(box.value.length / 110)));
    sendButton.disabled = !box.value.trim();
  }

  function offer() {
    const before = box.value.slice(0, box.selectionStart);
    const mention = before.match(/(?:^|\s)([@#])([\p{L}\p{N}._-]*)$/u);
    state.offered = before.startsWith("/") && !mention ? commands(before) : mention ? names(mention, before) : [];
    state.active = -1;
    hints.hidden = !state.offered.length;
    hints.replaceChildren(...state.offered.map((each) => h("li", {
      role: "option", "aria-selected": "false",
      on: { pointerdown: (event) => { event.preventDefault(); take(each); } },
    }, h("b", {}, each.shown), each.about ? h("small", {}, each.about) : null)));
  }

  function commands(before) {
    const word = before.split(/\s/)[0];
    if (before === word) {
      const fitting = app.directory.commands.filter(({ command }) => command.startsWith(word));
      return fitting.map(({ command, description }) => ({ shown: command, about: description, text: `${command} `, from: 0 }));
    }
    const fitting = app.directory.usages.filter((usage) => usage.startsWith(before.trimEnd()));
    return fitting.map((usage) => ({ shown: usage, text: beginning(usage), from: 0 }));
  }

  /** A usage up to where one's own words begin. */
  function beginning(usage) {
    return `${usage.split(/\s+/).slice(0, 2).join(" ")} `;
  }

  function names([, sign, part], before) {
    const wanted = part.toLocaleLowerCase();
    const from = before.length - part.length;
    const has = (...texts) => texts.some((text) => text.toLocaleLowerCase().split(" ").some((word) => word.startsWith(wanted)));
    const found = sign === "#"
      ? app.env.rooms().filter((each) => has(each.name)).map((each) => ({ shown: `#${each.name}`, text: `${each.name} `, from }))
      : app.env.people().filter((each) => each.kind !== "deleted" && has(each.handle, each.name))
        .map((each) => ({ shown: each.name, about: `@${each.handle}`, text: `${each.handle} `, from }));
    return found.slice(0, MOST);
  }

  function take({ text, from }) {
    const after = box.value.slice(box.selectionStart);
    box.value = box.value.slice(0, from) + text + after;
    box.setSelectionRange(from + text.length, from + text.length);
    box.focus();
    typed();
  }

  function hide() {
    hints.hidden = true;
    state.offered = [];
  }

  function step(by) {
    const rows = [...hints.children];
    state.active = (state.active + by + rows.length) % rows.length;
    rows.forEach((row, number) => {
      row.classList.toggle("active", number === state.active);
      row.setAttribute("aria-selected", String(number === state.active));
    });
    rows[state.active].scrollIntoView({ block: "nearest" });
  }

  function keydown(event) {
    const listed = !hints.hidden && state.offered.length;
    if (listed && event.key === "ArrowDown") step(1);
    else if (listed && event.key === "ArrowUp") step(state.active < 0 ? 0 : -1);
    else if (listed && event.key === "Tab") take(state.offered[Math.max(state.active, 0)]);
    else if (listed && event.key === "Escape") hide();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      if (listed && state.active >= 0) take(state.offered[state.active]);
      else send();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  async function send() {
    const text = box.value.trim();
    if (!text) return;
    hide();
    const wrong = text.startsWith("/") ? await command(text) : await message(text);
    trouble.textContent = wrong ?? "";
    trouble.hidden = !wrong;
  }

  /** A slash command; Slack takes only those an app has, and none inside threads. */
  async function command(text) {
    const [word] = text.split(/\s/);
    if (!app.directory.commands.some((each) => each.command === word)) return `${word} is not a valid command.`;
    const body = { channel: room, command: word, text: text.slice(word.length).trim(), thread_ts: thread };
    if (!thread) empty();
    return app.try("command", body);
  }

  async function message(text) {
    empty();
    return app.try("say", { channel: room, text, thread_ts: thread });
  }

  function empty() {
    box.value = "";
    typed();
  }
}
