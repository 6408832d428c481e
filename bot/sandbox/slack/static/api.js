// The sandbox's own addresses, asked from the page it serves; nobody else is ever asked.

async function ask(address, init) {
  const answer = await fetch(address, init);
  const body = await answer.json();
  if (!answer.ok) throw new Refused(body, answer.status);
  return body;
}

/** The sandbox would not do it; the message says why. */
export class Refused extends Error {
  constructor(body, status) {
    const details = body.response_metadata?.messages?.join("; ");
    super([body.error ?? `error ${status}`, details].filter(Boolean).join(": "));
  }
}

export function page(what, query = {}) {
  return ask(`/page/${what}?${new URLSearchParams(query)}`);
}

/** A gesture: what a person does, as /control has it. */
export function gesture(verb, body) {
  return ask(`/control/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
