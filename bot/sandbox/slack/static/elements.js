// What a person can use inside blocks: buttons, selects, inputs. https://docs.slack.dev/reference/block-kit/block-elements

import { combobox, filtered } from "./combobox.js";
import { button, h, openMenu, unique } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { mrkdwn } from "./mrkdwn.js";

export const plain = (text) => (text ? (text.emoji === false ? text.text : withEmoji(text.text)) : "");
export const words = (text, env) => (text?.type === "mrkdwn" ? mrkdwn(text.text, env) : plain(text));

/**
 * The surface is where the block stands: {where: {view_id} or {channel, ts}, values, errors, env, press}.
 * `values` is what was typed and chosen so far, by block and action; `press` sends a click.
 */
export function element(el, block, surface) {
  const draw = DRAWN[el.type];
  return draw ? draw(el, new Spot(el, block, surface)) : h("span", { class: "unknown" }, `[${el.type}]`);
}

class Spot {
  constructor(el, block, surface) {
    Object.assign(this, { el, block, surface });
    this.field = `${block.block_id}/${el.action_id}`;
    this.inForm = block.type === "input";
    this.error = surface.errors?.[block.block_id];
  }

  get label() {
    if (this.inForm) return plain(this.block.label);
    return this.el.accessibility_label ?? (plain(this.el.placeholder) || this.block.text?.text?.slice(0, 60) || this.el.action_id);
  }

  /** What stands there now: typed or chosen before, else what it starts with. */
  value(initial) {
    const kept = this.surface.values[this.block.block_id]?.[this.el.action_id];
    return kept === undefined ? initial ?? null : kept;
  }

  keep(value) {
    (this.surface.values[this.block.block_id] ??= {})[this.el.action_id] = value;
  }

  /** A choice was made: remember it, and tell the bot unless it is an input that keeps it for later. */
  chose(value, node) {
    this.keep(value);
    if (!this.inForm || this.block.dispatch_action) this.send(value, node);
  }

  send(value, node) {
    return this.surface.press(this.el, this.block, value, node);
  }

  get aria() {
    return {
      "data-field": this.field, class: this.error ? "invalid" : null, "aria-invalid": this.error ? "true" : null,
      "aria-describedby": this.surface.describedby?.(this.block),
    };
  }
}

function pressed(el, spot) {
  const style = { primary: "primary", danger: "danger" }[el.style] ?? "";
  const press = (event) => {
    if (/^https?:/.test(el.url ?? "")) window.open(el.url, "_blank", "noopener");
    spot.send(el.value, event.currentTarget);
  };
  return button(plain(el.text), { class: `button ${style}`, "aria-label": el.accessibility_label, "data-field": spot.field, on: { click: press } });
}

function typed(el, spot, type) {
  const area = el.multiline === true;
  const input = h(area ? "textarea" : "input", {
    ...spot.aria, type: area ? null : type, rows: area ? 4 : null, id: spot.surface.idOf?.(spot.block),
    "aria-label": spot.inForm ? null : spot.label, placeholder: plain(el.placeholder), value: spot.value(el.initial_value) ?? "",
    maxlength: el.max_length, step: el.is_decimal_allowed ? "any" : null, min: el.min_value, max: el.max_value,
    autocomplete: "off",
    on: {
      input: () => spot.keep(input.value),
      keydown: (event) => {
        const sends = event.key === "Enter" && spot.block.dispatch_action && !area;
        if (sends) { event.preventDefault(); spot.send(input.value, input); }
      },
    },
  });
  if (spot.value() === null && el.initial_value) spot.keep(el.initial_value);
  return input;
}

function picked(el, spot, type, name) {
  const start = spot.value(el[`initial_${name}`] ? { [`selected_${name}`]: el[`initial_${name}`] } : null);
  const input = h("input", {
    ...spot.aria, type, id: spot.surface.idOf?.(spot.block), "aria-label": spot.inForm ? null : spot.label,
    value: start?.[`selected_${name}`] ?? "",
    on: { change: () => spot.chose({ [`selected_${name}`]: input.value || null }, input) },
  });
  return input;
}

const asOption = (option, group = null) => ({ text: plain(option.text), description: plain(option.description), group, item: option });

function optionsOf(el) {
  const groups = (el.option_groups ?? []).flatMap((group) => group.options.map((option) => asOption(option, plain(group.label))));
  return [...(el.options ?? []).map((option) => asOption(option)), ...groups];
}

/** Selects: `load` finds options, `key` is where Slack keeps the answer, `pack` makes the answer of the chosen. */
function select(el, spot, { load, key, several, unpack }) {
  const initial = el[key.replace("selected", "initial")];
  const now = spot.value(initial ? { [key]: initial } : null)?.[key];
  const list = (Array.isArray(now) ? now : now ? [now] : []).map(unpack);
  const root = combobox({
    label: spot.label, placeholder: plain(el.placeholder) || "Choose an option", chosen: list, several, load,
    field: spot.field, invalid: Boolean(spot.error), describedby: spot.surface.describedby?.(spot.block),
    clearable: spot.inForm && spot.block.optional,
    change: (chosen) => {
      const items = chosen.map((each) => each.item);
      spot.chose({ [key]: several ? items : items[0] ?? null }, root);
    },
  });
  return root;
}

const known = (several) => (el, spot) => select(el, spot, {
  several, key: several ? "selected_options" : "selected_option", unpack: (option) => asOption(option),
  load: (typed) => filtered(optionsOf(el), typed),
});

const asked = (several) => (el, spot) => select(el, spot, {
  several, key: several ? "selected_options" : "selected_option", unpack: (option) => asOption(option),
  load: async (typed) => {
    const least = el.min_query_length ?? 3;
    if (typed.length < least) return { options: [], note: `Type at least ${least} characters` };
    const { options, error } = await spot.surface.suggest(el, spot.block, typed);
    return { options: (options ?? []).map((option) => asOption(option)), note: error ? "The app did not answer in time" : null };
  },
});

const someone = (several) => (el, spot) => {
  const people = spot.surface.env.people().filter((person) => person.kind !== "deleted");
  const option = (id) => ({ text: spot.surface.env.person(id)?.name ?? id, item: id });
  return select(el, spot, {
    several, key: several ? "selected_users" : "selected_user", unpack: option,
    load: (typed) => filtered(people.map((person) => ({ text: person.name, description: `@${person.handle}`, item: person.id })), typed),
  });
};

const somewhere = (key, several) => (el, spot) => {
  const rooms = spot.surface.env.rooms().map((room) => ({ text: `#${room.name}`, item: room.id }));
  return select(el, spot, {
    several, key, load: (typed) => filtered(rooms, typed),
    unpack: (id) => ({ text: `#${spot.surface.env.room(id)?.name ?? id}`, item: id }),
  });
};

function overflow(el, spot) {
  const open = (event) => openMenu(event.currentTarget, "More actions", el.options.map((option) => ({
    text: plain(option.text),
    run: () => spot.send({ selected_option: option }, anchor),
  })));
  const anchor = button("⋯", { class: "button overflow", "aria-label": "More", "aria-haspopup": "menu", on: { click: open } });
  return h("span", { class: "menu-place" }, anchor);
}

function ticked(el, spot, type) {
  const several = type === "checkbox";
  const key = several ? "selected_options" : "selected_option";
  const initial = el[several ? "initial_options" : "initial_option"];
  const now = [spot.value(initial ? { [key]: initial } : null)?.[key] ?? []].flat();
  const name = unique(type);
  const boxes = el.options.map((option, number) => h("label", { class: "tick" },
    h("input", {
      type, name, "data-field": `${spot.field}/${number}`, checked: now.some((each) => each.value === option.value), on: { change },
    }),
    h("span", {}, words(option.text, spot.surface.env), option.description ? h("small", {}, words(option.description, spot.surface.env)) : null)));
  const root = h("span", { class: "ticks", role: several ? "group" : "radiogroup", "aria-label": spot.label }, boxes);
  function change() {
    const chosen = el.options.filter((_, number) => boxes[number].firstChild.checked);
    spot.chose({ [key]: several ? chosen : chosen[0] ?? null }, root);
  }
  return root;
}

const DRAWN = {
  button: pressed,
  plain_text_input: (el, spot) => typed(el, spot, "text"),
  email_text_input: (el, spot) => typed(el, spot, "email"),
  url_text_input: (el, spot) => typed(el, spot, "url"),
  number_input: (el, spot) => typed(el, spot, "number"),
  datepicker: (el, spot) => picked(el, spot, "date", "date"),
  timepicker: (el, spot) => picked(el, spot, "time", "time"),
  static_select: known(false),
  multi_static_select: known(true),
  external_select: asked(false),
  multi_external_select: asked(true),
  users_select: someone(false),
  multi_users_select: someone(true),
  channels_select: somewhere("selected_channel", false),
  conversations_select: somewhere("selected_conversation", false),
  multi_channels_select: somewhere("selected_channels", true),
  multi_conversations_select: somewhere("selected_conversations", true),
  overflow,
  checkboxes: (el, spot) => ticked(el, spot, "checkbox"),
  radio_buttons: (el, spot) => ticked(el, spot, "radio"),
};
