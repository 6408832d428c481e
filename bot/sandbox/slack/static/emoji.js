// Emoji codes as the signs themselves; a code that is not here is shown as it was written.

const SIGNS = {
  "+1": "👍", "-1": "👎", thumbsup: "👍", thumbsdown: "👎", wave: "👋", raised_hand: "✋", raised_hands: "🙌", pray: "🙏",
  clap: "👏", ok_hand: "👌", point_right: "👉", point_left: "👈", point_up: "☝️", point_down: "👇", eyes: "👀", bow: "🙇",
  smile: "😄", slightly_smiling_face: "🙂", grin: "😁", joy: "😂", wink: "😉", thinking_face: "🤔", sob: "😭", tada: "🎉",
  white_check_mark: "✅", heavy_check_mark: "✔️", ballot_box_with_check: "☑️", x: "❌", negative_squared_cross_mark: "❎",
  no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑", warning: "⚠️", exclamation: "❗", heavy_exclamation_mark: "❗",
  question: "❓", bangbang: "‼️", information_source: "ℹ️", rotating_light: "🚨", fire: "🔥", boom: "💥", zap: "⚡",
  red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡", large_green_circle: "🟢", large_blue_circle: "🔵",
  white_circle: "⚪", black_circle: "⚫", hourglass: "⌛", hourglass_flowing_sand: "⏳", stopwatch: "⏱️", alarm_clock: "⏰",
  clock1: "🕐", clock3: "🕒", clock9: "🕘", calendar: "📆", date: "📅", spiral_calendar_pad: "🗓️", gear: "⚙️", wrench: "🔧",
  hammer: "🔨", hammer_and_wrench: "🛠️", toolbox: "🧰", key: "🔑", old_key: "🗝️", lock: "🔒", unlock: "🔓",
  closed_lock_with_key: "🔐", shield: "🛡️", door: "🚪", bell: "🔔", no_bell: "🔕", mega: "📣", loudspeaker: "📢",
  wastebasket: "🗑️", performing_arts: "🎭", zzz: "💤", snowflake: "❄️", ice_cube: "🧊", memo: "📝", pencil: "✏️",
  pencil2: "✏️", clipboard: "📋", page_facing_up: "📄", file_folder: "📁", scroll: "📜", books: "📚", link: "🔗", mag: "🔍",
  mag_right: "🔎", bulb: "💡", email: "✉️", envelope: "✉️", inbox_tray: "📥", outbox_tray: "📤", package: "📦",
  arrow_right: "➡️", arrow_left: "⬅️", arrow_up: "⬆️", arrow_down: "⬇️", arrows_counterclockwise: "🔄", repeat: "🔁",
  leftwards_arrow_with_hook: "↩️", fast_forward: "⏩", rewind: "⏪", black_right_pointing_triangle: "▶️", heavy_plus_sign: "➕",
  heavy_minus_sign: "➖", bust_in_silhouette: "👤", busts_in_silhouette: "👥", robot_face: "🤖", ghost: "👻", skull: "💀",
  house: "🏠", office: "🏢", castle: "🏰", european_castle: "🏰", rocket: "🚀", construction: "🚧", vertical_traffic_light: "🚦",
  checkered_flag: "🏁", triangular_flag_on_post: "🚩", star: "⭐", sparkles: "✨", heart: "❤️", broken_heart: "💔",
  seedling: "🌱", sunrise: "🌅", crescent_moon: "🌙", cloud: "☁️", umbrella: "☔", coffee: "☕", label: "🏷️", bookmark: "🔖",
  pushpin: "📌", paperclip: "📎", scissors: "✂️", bar_chart: "📊", chart_with_upwards_trend: "📈", hash: "#️⃣", sos: "🆘",
  new: "🆕", free: "🆓", ok: "🆗", up: "🆙", id: "🆔", phone: "☎️", pager: "📟", satellite_antenna: "📡", ambulance: "🚑",
  fire_extinguisher: "🧯", test_tube: "🧪", dna: "🧬", microscope: "🔬", ledger: "📒", ticket: "🎫", passport_control: "🛂",
};

export const EMOJI = /:([a-z0-9_+'-]+):/;

/** The sign of a code without its colons, or null. */
export function emoji(name) {
  return Object.hasOwn(SIGNS, name) ? SIGNS[name] : null;
}

/** A text with its codes as signs. */
export function withEmoji(text) {
  return text.replace(new RegExp(EMOJI, "g"), (code, name) => emoji(name) ?? code);
}
