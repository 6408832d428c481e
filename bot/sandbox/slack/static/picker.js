// Acting as somebody: the bar at the top, and the searchable list of everybody.

import { filtered } from "./combobox.js";
import { avatar, button, h, reconcile } from "./dom.js";

const CHIPS = 6;
const KINDS = { guest: "guest", single_channel_guest: "single-channel guest", deleted: "deactivated", stranger: "another company", bot: "app" };

export function drawTop(root, app) {
  const me = app.env.person(app.env.me.id);
  const waiting = app.waiting();
  const near = nearby(app, waiting);
  const make = () => h("div", { class: "acting" },
    h("span", {}, "Acting as"),
    button("", { class: "me", "aria-label": `Acting as ${me.name}: choose another person`, "aria-haspopup": "dialog", on: { click: () => choose(app) } },
      avatar(me, "small"), h("b", {}, me.name), h("small", {}, me.title), h("span", { "aria-hidden": "true" }, "▾")),
    h("span", { class: "chips" }, near.map((person) => chip(person, app, person !== me && waiting.has(person.id)))));
  const toggle = { key: "toggle", sign: JSON.stringify([app.callsConnected, app.callsOpen]), make: () => callsToggle(app) };
  const place = { key: "place", sign: "place", make: () => h("span", { class: "local" }, "Local Slack, on this machine only") };
  reconcile(root, [place, { key: "acting", sign: JSON.stringify([me, near, [...waiting]]), make }, toggle]);
}

function callsToggle(app) {
  if (!app.callsConnected) return h("span", {});
  return button("Calls to Atlassian", { class: "toggle", "aria-pressed": String(app.callsOpen), on: { click: () => app.showCalls(!app.callsOpen) } });
}

/** Whom one acted as lately, always in the same order, and before them whoever else has something to read. */
function nearby(app, waiting) {
  const lately = app.recent.map((handle) => app.env.handle(handle)?.id);
  const others = [...waiting].filter((id) => !lately.includes(id));
  return [...others, ...lately].map((id) => app.env.person(id)).filter(Boolean).slice(0, CHIPS);
}

function chip(person, app, waits) {
  const label = `Act as ${person.name}${waits ? " (has unread direct messages)" : ""}`;
  const here = person.id === app.env.me.id;
  return button("", { class: "chip-person", "aria-label": label, "aria-pressed": String(here), title: label, on: { click: () => app.actAs(person.handle) } },
    avatar(person, "tiny"), h("span", {}, person.name.split(" ")[0]), waits ? h("span", { class: "dot", "aria-hidden": "true" }) : null);
}

function choose(app) {
  const list = h("ul", { class: "people", role: "listbox", "aria-label": "People" });
  const waiting = app.waiting();
  const done = () => { dialog.close(); dialog.remove(); };
  const search = h("input", { type: "search", "aria-label": "Search people", placeholder: "Search 200 people by name, handle or title", on: { input: fill, keydown } });
  const dialog = h("dialog", { class: "modal picker", "aria-label": "Act as", on: { close: () => dialog.remove() } },
    h("header", {}, h("h2", {}, "Act as"), button("×", { class: "plain", "aria-label": "Close this window", on: { click: done } })),
    search, list);
  const everyone = app.env.people().filter((person) => person.kind !== "bot");
  search.placeholder = `Search ${everyone.length} people by name, handle or title`;
  let active = 0;
  fill();
  document.body.append(dialog);
  dialog.showModal();
  search.focus();

  function found() {
    const options = everyone.map((person) => ({ text: person.name, description: `@${person.handle} ${person.title}`, person }));
    return filtered(options, search.value).options.map((option) => option.person);
  }

  function fill() {
    active = 0;
    list.replaceChildren(...found().map((person, number) => row(person, number)));
  }

  function row(person, number) {
    return h("li", { role: "option", "aria-selected": String(number === active), class: number === active ? "active" : null, on: { click: () => pick(person) } },
      avatar(person, "small"), h("span", {}, h("b", {}, person.name), h("small", {}, `@${person.handle} · ${person.title}`)),
      KINDS[person.kind] ? h("span", { class: "kind" }, KINDS[person.kind]) : null,
      waiting.has(person.id) ? h("span", { class: "dot", title: "has unread direct messages" }) : null);
  }

  function pick(person) {
    done();
    app.actAs(person.handle);
  }

  function keydown(event) {
    const people = found();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") {
      event.preventDefault(); // or the button that gets the focus back would be pressed by the same key
      if (people[active]) pick(people[active]);
    }
    if (!step || !people.length) return;
    event.preventDefault();
    active = (active + step + people.length) % people.length;
    [...list.children].forEach((node, number) => {
      node.classList.toggle("active", number === active);
      node.setAttribute("aria-selected", String(number === active));
    });
    list.children[active].scrollIntoView({ block: "nearest" });
  }
}
