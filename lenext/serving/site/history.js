/** What this tab has been answered, kept by the browser until the tab is closed. */

import { byId, el } from "./dom.js";
import { percent } from "./format.js";

const KEY = "lenext-history";
const MOST = 200;
const SIDE = 88; // pixels of a small picture

let entries = read();

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function write() {
  while (true) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(entries));
      return;
    } catch {
      if (!entries.length) return;
      entries = entries.slice(0, Math.floor(entries.length / 2)); // no room: the older half goes
    }
  }
}

/** Add an answer, the newest first, and return its entry, which `change` may say more of. */
export function remember(entry) {
  entries = [{ time: Date.now(), ...entry }, ...entries].slice(0, MOST);
  write();
  show();
  return entries[0];
}

export function change(entry, news) {
  Object.assign(entry, news);
  write();
  show();
}

/** Return a small picture of an image as a data address, or null where the browser cannot show it. */
export function small(image) {
  if (!image.naturalWidth) return null;
  const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.8);
}

export function show() {
  byId("history-part").hidden = !entries.length;
  byId("history").replaceChildren(...entries.map(line));
}

export function clear() {
  entries = [];
  write();
  show();
}

function line({ picture, file, model, label, probability, unsure, kept, time }) {
  const at = new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return el(
    "li", {},
    picture ? el("img", { src: picture, alt: "" }) : el("i", { class: "blank" }),
    el("span", {}, `${label} `, el("span", { class: "soft" }, percent(probability) + (unsure ? ", not sure" : ""))),
    el("span", { class: "soft small" }, file),
    el("span", { class: "soft small" }, kept ? `${model}, ${at}; kept as ${kept}` : `${model}, ${at}`),
  );
}
