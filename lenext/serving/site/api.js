/** Asking the server, whose refusals are one line each. */

/** An answer that is a refusal; `status` is HTTP's, or 0 where the server was not reached. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Return the JSON of an answer. A busy server, 503, is asked again twice, after as long as it says. */
export async function ask(path, options = {}, tries = 2) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused(0, "the server does not answer; is it still running?");
  }
  if (response.status === 503 && tries > 0) {
    const seconds = Math.min(Number(response.headers.get("Retry-After")) || 1, 30);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    return ask(path, options, tries - 1);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? `the server answered ${response.status}`);
  return body;
}

/** Return a path from words that may hold anything, with a query of what is not undefined. */
export function address(words, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const tail = new URLSearchParams(given).toString();
  return `/v1/${words.map(encodeURIComponent).join("/")}${tail && `?${tail}`}`;
}
