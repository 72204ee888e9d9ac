/** One image and what the model answers to it. */

import { address, ask } from "./api.js";
import { byId, el, setVars } from "./dom.js";
import { percent } from "./format.js";
import { drawHeat } from "./heat.js";
import { change, remember, small } from "./history.js";

const TOP = 5;
const TINY = 96; // pixels below which an image is drawn with its pixels as squares

let count = 0;

/** A list item that asks about `file` and shows what comes; `asked` is the model, of /v1/models, `wrong` whether a
 * wrong answer can be kept, `low` the probability below which an answer is a guess. */
export class Card {
  constructor(file, asked, { wrong, low }) {
    Object.assign(this, { file, asked, wrong, low, id: `card-${count++}` });
    this.image = el("img", { src: URL.createObjectURL(file), alt: "" });
    this.frame = el("div", { class: "frame" }, this.image);
    this.loaded = new Promise((resolve) => {
      this.image.addEventListener("load", () => resolve(this.measure()), { once: true });
      this.image.addEventListener("error", () => resolve(this.tellUnshown()), { once: true });
    });
    this.picture = el("div", { class: "picture" }, this.frame);
    this.body = el("div", {}, this.heading(), el("p", { class: "soft" }, "Waiting for the answer"));
    this.node = el("li", { class: "card", "aria-busy": "true" }, this.picture, this.body);
  }

  heading() {
    return el("div", { class: "head" }, el("h3", { id: `${this.id}-name` }, this.file.name || "pasted image"));
  }

  measure() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    setVars(this.frame, { ratio: String(width / height) });
    this.image.classList.toggle("tiny", Math.max(width, height) <= TINY);
    this.frame.classList.toggle("small", Math.max(width, height) <= TINY);
  }

  tellUnshown() {
    this.frame.append(el("p", { class: "soft small" }, "this browser cannot show the image; the server may still read it"));
    this.image.hidden = true;
    setVars(this.frame, { ratio: "2.5" });
  }

  /** Ask the server; returns whether it answered. */
  async answer() {
    try {
      const answer = await this.predict({ top: TOP });
      await this.loaded;
      this.show(answer);
      return true;
    } catch (error) {
      this.body.replaceChildren(this.heading(), el("p", { class: "alert" }, error.message));
      return false;
    } finally {
      this.node.removeAttribute("aria-busy");
    }
  }

  async predict(query) {
    const form = new FormData();
    form.append("files", this.file, this.file.name || "pasted.png");
    const found = await ask(address(["models", this.asked.name, "predict"], query), { method: "POST", body: form });
    return found.predictions[0];
  }

  show({ predictions, low_confidence: unsure }) {
    const [best] = predictions;
    const rows = predictions.map(({ label, probability }) =>
      el(
        "li", {},
        el("b", {}, label),
        el("span", {}, percent(probability)),
        el("div", { class: "track" }, el("i", { vars: { share: `${100 * probability}%` } })),
      ),
    );
    const note = unsure && el(
      "p", { class: "note" },
      el("b", {}, "Not sure. "),
      `The best answer has ${percent(best.probability)}; below ${Math.round(100 * this.low)} % take it as a guess. `,
      "An image of none of the classes is answered with one of them, too.",
    );
    const scores = el("ol", { class: unsure ? "scores unsure" : "scores", "aria-label": "Answers, most probable first" }, ...rows);
    this.body.replaceChildren(this.heading(), ...[note, scores, this.wrong && this.correction()].filter(Boolean));
    if (this.asked.class_map) this.picture.append(this.heatChoice(predictions));
    this.entry = remember({
      picture: small(this.image), file: this.file.name || "pasted image", model: this.asked.name, unsure, ...best,
    });
    this.image.alt = `${this.file.name || "pasted image"}, answered as ${best.label}`;
  }

  heatChoice(predictions) {
    const choice = el(
      "select", { id: `${this.id}-heat`, "aria-describedby": `${this.id}-name`, on: { change: () => this.showHeat(choice.value) } },
      el("option", { value: "" }, "off"),
      ...predictions.map(({ label }) => el("option", { value: label }, label)),
    );
    return el("div", { class: "field" }, el("label", { for: choice.id }, "Heat map: what speaks for"), choice);
  }

  async showHeat(label) {
    this.wanted = label;
    this.frame.querySelector("canvas")?.remove();
    this.frame.classList.remove("heated");
    if (!label) return;
    try {
      const { map } = await this.predict({ top: TOP, map: true, label });
      if (this.wanted !== label) return; // another one was chosen meanwhile
      const canvas = drawHeat(map.values);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Heat map: what in the image speaks for ${label}`);
      const [left, top, right, bottom] = map.box.map((share) => 100 * share);
      setVars(canvas, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
      this.frame.append(canvas);
      this.frame.classList.add("heated");
      byId("status").textContent = `The heat map of ${label} is shown.`;
    } catch (error) {
      byId("status").textContent = error.message;
    }
  }

  correction() {
    const list = el("datalist", { id: `${this.id}-classes` }, ...this.asked.classes.map(({ label }) => el("option", { value: label })));
    const label = el("input", { id: `${this.id}-label`, list: list.id, required: true, autocomplete: "off" });
    const told = el("p", { class: "small soft", role: "status", tabindex: "-1" });
    const form = el(
      "form", { class: "correct", hidden: true },
      el("div", { class: "field" }, el("label", { for: label.id }, "What is it? One of the classes, or a new one"), label, list),
      el("button", { "aria-describedby": `${this.id}-name` }, "Keep"),
    );
    const open = el("button", {
      type: "button", "aria-expanded": "false", "aria-describedby": `${this.id}-name`, on: { click: () => {
        form.hidden = !form.hidden;
        open.setAttribute("aria-expanded", String(!form.hidden));
        if (!form.hidden) label.focus();
      } },
    }, "This is wrong");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.keeping) return; // not by disabling the button, which would lose the focus
      this.keeping = true;
      try {
        const kept = await this.keep(label.value.trim());
        told.textContent = `Kept as ${kept}, ready for lenext train.`;
        told.focus(); // the button that had it goes
        form.hidden = true;
        open.hidden = true;
      } catch (error) {
        told.textContent = error.message;
      } finally {
        this.keeping = false;
      }
    });
    return el("div", { class: "correction" }, open, form, told);
  }

  async keep(label) {
    const form = new FormData();
    form.append("file", this.file, this.file.name || "pasted.png");
    form.append("label", label);
    const { kept } = await ask(address(["models", this.asked.name, "wrong"]), { method: "POST", body: form });
    change(this.entry, { kept });
    return kept;
  }

  /** Let go of the picture's memory. */
  close() {
    URL.revokeObjectURL(this.image.src);
  }
}
