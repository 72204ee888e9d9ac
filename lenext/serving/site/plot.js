/** The chart of all models, with Chart.js: error against multiply-adds, parameters as area, years as colour. */

import { short } from "./format.js";

/** The last year of each colour; papers after the last one have a colour too. */
export const ERAS = [[2013, "to 2013"], [2015, "2014 and 2015"], [2017, "2016 and 2017"], [2019, "2018 and 2019"], [9999, "from 2020"]];

const LARGEST = 36; // pixels of the radius of the model with most parameters, less on a narrow chart
const NARROW = 640; // pixels of a chart below which only powers of ten have room
const SMALLEST = 3; // of one with so few that its disc could not be hit

const COVERED = 0.7; // of the radius of a disc, what no name covers

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const era = (year) => ERAS.findIndex(([last]) => year <= last);

/** Return whether a tick stands at one of `steps` times a power of ten. */
function standsAt(value, steps) {
  const first = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return steps.some((step) => Math.abs(first - step) < 1e-6);
}

/** Writes the names of discs beside them: of the chosen ones first, then of others as long as nothing is hidden. */
const names = {
  id: "names",
  afterDatasetsDraw(chart, _, { chosen = [] }) {
    const { ctx, chartArea: area } = chart;
    const discs = chart.data.datasets.flatMap((set, at) =>
      chart.getDatasetMeta(at).data.map((disc, index) => ({ ...set.data[index], x: disc.x, y: disc.y })),
    );
    const taken = discs.map(({ x, y, r }) => ({ left: x - COVERED * r, right: x + COVERED * r, top: y - COVERED * r, bottom: y + COVERED * r }));
    const free = (box) => !taken.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top);
    const inside = (box) => box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom;
    ctx.save();
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    for (const { x, y, r, row } of discs.sort((a, b) => chosen.includes(b.row.name) - chosen.includes(a.row.name) || b.r - a.r)) {
      const picked = chosen.includes(row.name);
      ctx.font = `${picked ? "600 12px" : "11px"} system-ui, sans-serif`;
      const width = ctx.measureText(row.name).width;
      const places = [[x + r + 4, y], [x - r - 4 - width, y], [x - width / 2, y - r - 9], [x - width / 2, y + r + 9]].map(([left, middle]) => ({
        left, right: left + width, top: middle - 7, bottom: middle + 7, middle,
      }));
      const place = places.find((box) => inside(box) && free(box)) ?? (picked ? places.find(inside) : undefined);
      if (picked) {
        ctx.strokeStyle = variable("--ink");
        ctx.lineWidth = 2;
        ctx.beginPath();
        ctx.arc(x, y, Math.max(r, 5), 0, 2 * Math.PI);
        ctx.stroke();
      }
      if (!place) continue;
      taken.push(place);
      ctx.fillStyle = variable(picked ? "--ink" : "--soft");
      ctx.strokeStyle = variable("--paper");
      ctx.lineWidth = 3;
      ctx.strokeText(row.name, place.left, place.middle);
      ctx.fillText(row.name, place.left, place.middle);
    }
    ctx.restore();
  },
};

/** Return a chart on `canvas`; `choose(name)` is called where a disc is clicked. */
export function makePlot(canvas, choose) {
  const chart = new window.Chart(canvas, {
    type: "bubble",
    data: { datasets: [] },
    plugins: [names],
    options: {
      animation: false,
      maintainAspectRatio: false,
      layout: { padding: { top: 8, right: 8 } },
      onClick: (_, [disc]) => disc && choose(chart.data.datasets[disc.datasetIndex].data[disc.index].row.name),
      onHover: (event, discs) => (canvas.style.cursor = discs.length ? "pointer" : "default"),
      plugins: {
        legend: { display: false },
        names: { chosen: [] },
        tooltip: {
          displayColors: false, padding: 10, cornerRadius: 8, borderWidth: 1, bodySpacing: 4,
          callbacks: { title: ([{ raw }]) => raw.row.name, label: ({ raw }) => told(raw.row, raw.error) },
        },
      },
      scales: {
        x: {
          type: "logarithmic",
          title: { display: true, text: "multiply-adds of an image" },
          ticks: {
            autoSkip: false, maxRotation: 0,
            callback: (value) => (standsAt(value, canvas.clientWidth < NARROW ? [1] : [1, 2, 5]) ? short(value).replace(/\.0+ /, " ") : null),
          },
        },
        y: { grace: "8%", title: { display: true, text: "error in %" } },
      },
    },
  });
  paint(chart);
  return chart;
}

function told(row, error) {
  const rates = [error.top1 !== null && `top-1 ${error.top1} %`, error.top5 !== null && `top-5 ${error.top5} %`];
  return [
    `${row.family}, ${row.year}`,
    `error: ${rates.filter(Boolean).join(", ")}`,
    `${error.dataset}, ${error.protocol}${error.source ? ` (${error.source})` : ""}`,
    `parameters: ${short(row.params)}`,
    `multiply-adds: ${short(row.macs)}`,
    `input: ${row.channels}×${row.size}×${row.size}`,
  ];
}

/** Take the colours of the page, which follow the light or dark that the user has. */
export function paint(chart) {
  const { scales, plugins } = chart.options;
  for (const scale of [scales.x, scales.y]) {
    Object.assign(scale.ticks, { color: variable("--soft") });
    Object.assign(scale.title, { color: variable("--soft") });
    Object.assign(scale.grid, { color: variable("--line") });
    Object.assign(scale.border, { color: variable("--line") });
  }
  Object.assign(plugins.tooltip, {
    backgroundColor: variable("--paper"), borderColor: variable("--edge"), titleColor: variable("--ink"), bodyColor: variable("--ink"),
  });
  for (const set of chart.data.datasets) dye(set);
  chart.update();
}

function dye(set) {
  const colour = variable(`--era-${set.era + 1}`);
  Object.assign(set, { backgroundColor: `${colour}66`, borderColor: colour, hoverBackgroundColor: `${colour}aa` });
}

/** Draw points, each {row, error, value}; `label` says what the vertical axis is, `most` is the largest network. */
export function drawPlot(chart, points, { label, most, chosen }) {
  const unit = Math.min(LARGEST, chart.width / 22) / Math.sqrt(most);
  const discs = points.map(({ row, error, value }) => ({
    x: row.macs, y: value, r: Math.max(SMALLEST, unit * Math.sqrt(row.params)), row, error,
  }));
  discs.sort((a, b) => b.r - a.r); // the small ones lie above the large ones
  chart.data.datasets = ERAS.map((_, at) => ({ era: at, order: -at, data: discs.filter(({ row }) => era(row.year) === at) }));
  chart.data.datasets.forEach(dye);
  const macs = discs.map(({ x }) => x);
  Object.assign(chart.options.scales.x, { min: Math.min(...macs) / 1.6, max: 1.6 * Math.max(...macs) });
  chart.options.scales.y.title.text = label;
  chart.options.plugins.names.chosen = chosen;
  chart.update();
}
