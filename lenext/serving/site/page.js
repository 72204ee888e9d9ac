/** The page at /: choose, drop or paste images, and see what a model answers. */

import { ask } from "./api.js";
import { Card } from "./card.js";
import { byId, el } from "./dom.js";
import { shape } from "./format.js";
import * as history from "./history.js";

const AT_ONCE = 3; // images that are sent at the same time

let served;
let cards = [];
let turn = 0;

const say = (text) => (byId("status").textContent = text);
const asked = () => served.models.find(({ name }) => name === byId("model").value);

async function start() {
  try {
    served = await ask("/v1/models");
  } catch (error) {
    say(error.message);
    return;
  }
  if (!served.models.length) {
    byId("lead").textContent = "No model is served here: `lenext serve RUN` serves one. The architectures can be looked at without.";
    return;
  }
  byId("model").replaceChildren(...served.models.map(({ name }) => el("option", { value: name }, name)));
  byId("ready").hidden = false;
  tellModel();
}

function tellModel() {
  const { model, classes, size, engine, precision, class_map, figures } = asked();
  const { top1, images } = figures;
  const facts = [
    `${model}, ${classes.length} classes, ${shape(size)} pixels`,
    `${engine}, ${precision}`,
    top1 !== undefined && `${top1.toFixed(1)} % right${images ? ` of ${images.toLocaleString("en")} images it was measured on` : ""}`,
    !class_map && "no heat maps: this network looks at the whole image at once",
  ];
  byId("facts").textContent = facts.filter(Boolean).join("; ");
}

/** Show a card for each file in place of those before, and fill them as the answers come. */
async function answer(files) {
  if (!files.length || !served?.models.length) return;
  const mine = ++turn;
  cards.forEach((card) => card.close());
  cards = files.map((file) => new Card(file, asked(), { wrong: served.wrong, low: served.low_confidence }));
  byId("answers").replaceChildren(...cards.map(({ node }) => node));
  byId("answers-part").hidden = false;
  say(files.length === 1 ? "Asking about 1 image" : `Asking about ${files.length} images`);
  const waiting = [...cards];
  let done = 0;
  const work = async () => {
    while (waiting.length && mine === turn) {
      const answered = await waiting.shift().answer(); // not in one line: `done +=` would read the count before the wait
      done += answered;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (mine !== turn) return;
  const failed = files.length - done;
  say(`${done} of ${files.length} ${files.length === 1 ? "image" : "images"} answered.${failed ? ` ${failed} could not be.` : ""}`);
}

byId("files").addEventListener("change", ({ target }) => {
  answer([...target.files]);
  target.value = ""; // so that the same file can be chosen again
});
byId("model").addEventListener("change", () => {
  tellModel();
  answer(cards.map(({ file }) => file));
});
byId("clear").addEventListener("click", () => {
  history.clear();
  byId("files").focus();
});
document.addEventListener("paste", ({ clipboardData }) => answer([...clipboardData.files]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").classList.add("over");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) byId("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  answer([...event.dataTransfer.files]);
});

history.show();
start();
