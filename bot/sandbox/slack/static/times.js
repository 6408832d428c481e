// Times as the chosen person reads them: in their own zone, in the words Slack uses for near days.

const DAY = 86_400;

function format(seconds, zone, parts) {
  return new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...parts }).format(new Date(seconds * 1000));
}

function dayOf(seconds, zone) {
  return format(seconds, zone, { year: "numeric", month: "2-digit", day: "2-digit" });
}

export function clock(seconds, zone) {
  return format(seconds, zone, { hour: "2-digit", minute: "2-digit" });
}

/** Today, Yesterday or Tomorrow, or null. */
function near(seconds, { zone, now }) {
  const days = [["Yesterday", -DAY], ["Today", 0], ["Tomorrow", DAY]];
  return days.find(([, away]) => dayOf(now + away, zone) === dayOf(seconds, zone))?.[0] ?? null;
}

export function dayName(seconds, env) {
  const named = near(seconds, env);
  return named ?? format(seconds, env.zone, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

export function whole(seconds, env) {
  return `${format(seconds, env.zone, { dateStyle: "full" })}, ${clock(seconds, env.zone)} (${env.zone})`;
}

function ago(seconds, now) {
  const past = Math.abs(now - seconds);
  const [unit, size] = [["day", DAY], ["hour", 3600], ["minute", 60], ["second", 1]].find(([, s]) => past >= s) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en").format(Math.round((seconds - now) / size), unit);
}

/** Slack's date tokens. https://docs.slack.dev/messaging/formatting-message-text#date-formatting */
export function dated(seconds, pattern, env) {
  const long = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
  const shapes = {
    date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
    date_slash: { year: "numeric", month: "2-digit", day: "2-digit" },
    date: { day: "numeric", month: "long", year: "numeric" },
    date_short: { day: "numeric", month: "short", year: "numeric" },
    date_long: long,
    date_long_full: long,
    time: { hour: "2-digit", minute: "2-digit" },
    time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  };
  return pattern.replace(/\{([a-z_]+)\}/g, (token, name) => {
    if (name === "ago") return ago(seconds, env.now);
    const plain = name.replace(/_pretty$/, "");
    if (!Object.hasOwn(shapes, plain)) return token;
    const named = plain !== name ? near(seconds, env)?.toLowerCase() : null;
    return named ?? format(seconds, env.zone, shapes[plain]);
  });
}
