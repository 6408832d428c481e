// A select one can type into: options known beforehand or asked for while typing, one or several.

import { button, h, unique } from "./dom.js";

const PAUSE = 150; // milliseconds after the last key before the options are asked for

/** `load(typed)` gives {options: [{text, description, group, item}], note}; `change(chosen)` hears every choice. */
export function combobox({ label, placeholder, chosen, several, load, change, field, invalid, describedby, clearable }) {
  const state = { chosen: [...chosen], options: [], active: -1, round: 0, timer: 0 };
  const list = h("ul", { class: "options", role: "listbox", id: unique("options"), "aria-label": label, hidden: true });
  const input = h("input", {
    type: "text", role: "combobox", class: invalid ? "invalid" : null, "aria-label": label, "aria-expanded": "false",
    "aria-controls": list.id, "aria-autocomplete": "list", "aria-invalid": invalid ? "true" : null,
    "aria-describedby": describedby, autocomplete: "off", "data-field": field, placeholder,
    on: {
      click: () => open(), input: () => look(PAUSE), keydown, blur: () => close(),
    },
  });
  const chips = h("span", { class: "chips" });
  const clear = button("Clear", { class: "clear", "aria-label": `Clear ${label}`, on: { click: () => pick(null) } }, "×");
  const root = h("span", { class: "combo" }, several ? chips : null, input, clearable && !several ? clear : null, list);
  rest();
  return root;

  /** What is shown while nobody is typing. */
  function rest() {
    const [only] = state.chosen;
    input.value = several || !only ? "" : only.text;
    clear.hidden = !only;
    chips.replaceChildren(...state.chosen.map((each) => h("span", { class: "chip" }, each.text,
      button("Remove", { "aria-label": `Remove ${each.text}`, on: { click: () => drop(each) } }, "×"))));
  }

  function open() {
    if (!list.hidden) return;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.select();
    look(0, "");
  }

  function close() {
    clearTimeout(state.timer);
    state.round++;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    rest();
  }

  function look(pause, typed = input.value) {
    list.hidden = false;
    clearTimeout(state.timer);
    state.timer = setTimeout(async () => {
      const round = ++state.round;
      const waiting = setTimeout(() => round === state.round && say("Looking …"), 300);
      const found = await load(typed.trim());
      clearTimeout(waiting);
      if (round === state.round) show(found);
    }, pause);
  }

  function say(note) {
    state.options = [];
    list.replaceChildren(h("li", { class: "note", role: "presentation" }, note));
  }

  function show({ options, note }) {
    if (!options.length) return say(note ?? "No results");
    state.options = options;
    let group = null;
    const rows = options.flatMap((option, number) => {
      const head = option.group && option.group !== group ? [h("li", { class: "group", role: "presentation" }, option.group)] : [];
      group = option.group;
      return [...head, row(option, number)];
    });
    list.replaceChildren(...rows);
    activate(several ? -1 : options.findIndex((option) => option.text === state.chosen[0]?.text));
  }

  function row(option, number) {
    const taken = state.chosen.some((each) => each.text === option.text);
    return h("li", {
      role: "option", id: `${list.id}-${number}`, "aria-selected": String(taken),
      on: { pointerdown: (event) => event.preventDefault(), click: () => pick(option) },
    }, h("span", {}, option.text), option.description ? h("small", {}, option.description) : null);
  }

  function activate(number) {
    state.active = number;
    for (const node of list.querySelectorAll("[role=option]")) {
      const active = node.id === `${list.id}-${number}`;
      node.classList.toggle("active", active);
      if (active) {
        input.setAttribute("aria-activedescendant", node.id);
        node.scrollIntoView({ block: "nearest" });
      }
    }
  }

  function keydown(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (list.hidden && step) open();
    else if (step) activate((state.active + step + state.options.length) % (state.options.length || 1));
    else if (event.key === "Enter" && !list.hidden) pick(state.options[Math.max(state.active, 0)]);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Backspace" && several && !input.value) drop(state.chosen.at(-1));
    else return;
    if (event.key !== "Backspace") { event.preventDefault(); event.stopPropagation(); }
  }

  function pick(option) {
    if (option === undefined) return;
    const others = several ? state.chosen.filter((each) => each.text !== option.text) : [];
    state.chosen = option === null ? [] : [...others, option];
    close();
    change(state.chosen);
  }

  function drop(option) {
    if (!option) return;
    state.chosen = state.chosen.filter((each) => each !== option);
    rest();
    change(state.chosen);
  }
}

/** The options that have all typed words somewhere. */
export function filtered(options, typed) {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const has = (option) => words.every((word) => `${option.text} ${option.description ?? ""}`.toLocaleLowerCase().includes(word));
  return { options: options.filter(has) };
}
