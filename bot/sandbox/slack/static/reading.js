// What the people one acts as have read in this tab.

export class Reading {
  constructor(app) {
    this.app = app;
    this.marks = JSON.parse(sessionStorage.getItem("read") ?? "{}");
  }

  /** What stands on the screen now counts as read. */
  mark() {
    const { app } = this;
    if (document.visibilityState !== "visible") return;
    if (app.place === "gatehouse") this.set(this.dmKey(app.as), newest(app.screen.dms));
    else if (app.room) this.set(this.key(app.room.id), Math.max(0, ...app.room.messages.map((each) => Number(each.ts))));
    if (app.thread) this.set(this.key(app.thread), newest(this.threadMessages()));
    sessionStorage.setItem("read", JSON.stringify(this.marks));
  }

  threadMessages() {
    const { app } = this;
    const here = app.room?.messages ?? app.screen.dms;
    return here.filter((message) => message.ts === app.thread);
  }

  set(key, until) {
    this.marks[key] = Math.max(until, this.marks[key] ?? 0);
  }

  key(what) {
    return `${this.app.as}/${what}`;
  }

  dmKey(handle) {
    return `${handle}/dm`;
  }

  /** How many messages of others in a channel, or in the direct messages with the bot, are new. */
  count(id, messages) {
    const key = id === this.app.screen.dm ? this.dmKey(this.app.as) : this.key(id);
    const all = id === this.app.screen.dm ? messages.flatMap((each) => [each, ...each.replies]) : messages;
    const read = this.marks[key] ?? 0;
    return all.filter((each) => each.user !== this.app.screen.me.id && Number(each.ts) > read).length;
  }

  inDm() {
    return this.count(this.app.screen.dm, this.app.screen.dms) > 0;
  }

  /** Whether somebody else answered in a thread since it was last open. */
  threadIsNew(message) {
    const read = this.marks[this.key(message.ts)] ?? 0;
    return (message.replies ?? []).some((reply) => reply.user !== this.app.screen.me.id && Number(reply.ts) > read);
  }

  /** The ids of everybody with direct messages of the bot they have not seen in this tab. */
  waiting() {
    const { app } = this;
    const people = Object.entries(app.screen.waiting);
    return new Set(people.filter(([id, ts]) => Number(ts) > (this.marks[this.dmKey(app.byId.get(id)?.handle)] ?? 0)).map(([id]) => id));
  }
}

function newest(messages) {
  return Math.max(0, ...messages.flatMap((each) => [each, ...(each.replies ?? [])]).map((each) => Number(each.ts)));
}
