/** One architecture drawn: a block a stage, as high as its resolution and as wide as its channels, and its shares. */

import { el, setVars, svg } from "./dom.js";
import { partName, percent, shape, short, times } from "./format.js";

const LEAST = 80; // pixels across that a stage needs for its text
const HIGH = 120; // of an image of FULL pixels a side
const FULL = 512;
const MANY = 4096; // channels of a block that fills its place
const MIDDLE = 74; // where the blocks' centres lie
const TEXT = 158;
const BARS = { top: 186, high: 80 };
const TALL = 292;
const TIP = 280; // of the note beside a block, as in the style sheet

const height = (side) => 4 + (HIGH * Math.log2(Math.max(side, 1))) / Math.log2(FULL);
const sides = (output) => [output[0], output[1] ?? 1, output[2] ?? 1];

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelectorAll(".tip").forEach((tip) => (tip.hidden = true));
});

/** Fill `place` with an architecture at a size; `own` is the same at its own size, where that is another. */
export function showStages(place, staged, own) {
  const { name, family, year, paper, input, stages, total } = staged;
  const changed = shape(own.input) !== shape(input);
  place.replaceChildren(
    el("h3", {}, name),
    el("p", { class: "soft small" }, `${family}, ${year}, on ${shape(input)}; `, el("a", { href: paper, rel: "noreferrer" }, "the paper")),
    figures(staged, changed && own),
    drawing(place, staged, changed && own),
    el(
      "details", {}, el("summary", {}, `${name} as a table`),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Stages of ${name}` }, table(stages, total, changed && own)),
    ),
  );
}

function figures({ total, top1_error: top1, top5_error: top5, dataset, protocol }, own) {
  const cell = (title, value, small) => el("div", {}, el("dt", {}, title), el("dd", {}, value, el("small", {}, small)));
  const change = (key) => {
    if (!own) return total[key].toLocaleString("en");
    return total[key] === own.total[key] ? "unchanged" : `${times(total[key], own.total[key])} of ${short(own.total[key])}`;
  };
  const error = top1 ?? top5;
  return el(
    "dl", { class: "figures" },
    cell("parameters", short(total.params), change("params")),
    cell("multiply-adds", short(total.macs), change("macs")),
    cell("activations", short(total.activations), change("activations")),
    error === null
      ? cell("published error", "none", "that compares")
      : cell(top1 === null ? "top-5 error" : "top-1 error", `${error} %`, `${dataset}, ${protocol}${own ? ", at its own size" : ""}`),
  );
}

function drawing(place, { name, input, stages }, own) {
  const parts = [{ name: "image", output: input }, ...stages];
  const before = own && [{ output: own.input }, ...own.stages];
  const frame = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Drawing of ${name}` });
  const room = place.clientWidth || 600;
  const pitch = Math.max(LEAST, Math.floor(room / parts.length));
  const width = pitch * parts.length;
  const tip = el("div", { class: "tip", hidden: true });
  const groups = parts.map((part, at) => {
    const group = drawPart(part, before && before[at], pitch);
    group.setAttribute("transform", `translate(${pitch * at})`);
    const open = () => {
      const [before, after] = [pitch * at - frame.scrollLeft - TIP, pitch * (at + 1) - frame.scrollLeft];
      const below = after + TIP > room && before < 0; // where there is no room beside the block
      showTip(tip, part, after + TIP <= room ? after : Math.max(0, before), frame.offsetTop + (below ? TALL : 0));
    };
    for (const event of ["mouseenter", "focus"]) group.addEventListener(event, open);
    for (const event of ["mouseleave", "blur"]) group.addEventListener(event, () => (tip.hidden = true));
    return group;
  });
  const line = svg("line", { class: "axis", x1: pitch / 2, x2: width - pitch / 2, y1: MIDDLE, y2: MIDDLE });
  frame.append(svg("svg", { width, height: TALL, role: "group", "aria-label": `Stages of ${name}` }, line, ...groups));
  return el("div", {}, frame, tip);
}

function drawPart(part, before, pitch) {
  const middle = pitch / 2;
  const block = (output, kind) => {
    const [channels, rows] = sides(output);
    const wide = 6 + ((pitch - 16) * Math.log2(channels)) / Math.log2(MANY);
    const high = height(rows);
    return svg("rect", { class: kind, x: middle - wide / 2, y: MIDDLE - high / 2, width: wide, height: high, rx: 2 });
  };
  const marks = [block(part.output, "block")];
  if (before) marks.push(block(before.output, "before"));
  const bar = (share, left, kind) => [
    svg("rect", { class: kind, x: left, y: BARS.top + BARS.high * (1 - share), width: 16, height: Math.max(1, BARS.high * share), rx: 1.5 }),
  ];
  if (part.share !== undefined) {
    marks.push(...bar(part.share, middle - 18, "bar-macs"), ...bar(part.params_share, middle + 2, "bar-params"));
    marks.push(svg("text", { class: "faint", x: middle, y: BARS.top + BARS.high + 15 }, `${rounded(part.share)} · ${rounded(part.params_share)}`));
  }
  return svg(
    "g", { class: part.share === undefined ? "image" : "stage", tabindex: "0", role: "img", "aria-label": described(part) },
    svg("rect", { class: "zone", x: 1, y: 1, width: pitch - 2, height: TALL - 2, rx: 6 }),
    ...marks,
    svg("text", { x: middle, y: TEXT }, partName(part.name)),
    svg("text", { class: "faint", x: middle, y: TEXT + 16 }, shape(part.output)),
  );
}

const rounded = (share) => (share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`);

function described(part) {
  const facts = told(part).map(([what, value]) => `${what} ${value}`);
  return [partName(part.name), ...facts].join(", ");
}

function told({ output, layers, params, macs, share, params_share: part, receptive_field: field }) {
  const facts = [["output", shape(output)]];
  if (share === undefined) return facts;
  facts.push(["layers that multiply", layers], ["multiply-adds", `${short(macs)}, ${percent(share)}`], ["parameters", `${short(params)}, ${percent(part)}`]);
  if (field !== null) facts.push(["receptive field", `${field} px`]);
  return facts;
}

function showTip(tip, part, left, top) {
  tip.replaceChildren(
    el("b", {}, partName(part.name)),
    el("dl", {}, ...told(part).flatMap(([what, value]) => [el("dt", {}, what), el("dd", {}, String(value))])),
  );
  tip.hidden = false;
  setVars(tip, { left: `${left}px`, top: `${top}px` });
}

function table(stages, total, own) {
  const number = (value) => el("td", { class: "n" }, value);
  const head = ["stage", "output", "layers", "parameters", "MACs", "share", ...(own ? ["MACs at its own size"] : [])];
  const rows = stages.map((stage, at) => el(
    "tr", {}, el("th", { scope: "row" }, partName(stage.name)),
    ...[shape(stage.output), stage.layers, stage.params.toLocaleString("en"), stage.macs.toLocaleString("en"), percent(stage.share)].map((value) => number(String(value))),
    own && number(own.stages[at].macs.toLocaleString("en")),
  ));
  const sum = el(
    "tr", {}, el("th", { scope: "row" }, "all"), number(""), number(String(stages.reduce((sum, { layers }) => sum + layers, 0))),
    number(total.params.toLocaleString("en")), number(total.macs.toLocaleString("en")), number(percent(1)),
    own && number(own.total.macs.toLocaleString("en")),
  );
  return el(
    "table", {},
    el("thead", {}, el("tr", {}, ...head.map((text, at) => el("th", { scope: "col", class: at ? "n" : null }, text)))),
    el("tbody", {}, ...rows, sum),
  );
}
