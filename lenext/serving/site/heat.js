/** Drawing a class map over a greyed picture, in the colours of lenext's other pictures. */

// From nothing over violet and orange to pale yellow: lenext/pages/heat.py.
const STOPS = [[43, 11, 87], [122, 31, 128], [201, 56, 95], [245, 123, 50], [252, 212, 92], [255, 251, 208]];
const OPAQUE = 0.85;
const SIDE = 320; // pixels of the drawing's longer side

/** Return a canvas that shows `values`, (h, w) from 0 to 1, interpolated between the centres of the cells. */
export function drawHeat(values) {
  const rows = values.length;
  const columns = values[0].length;
  const unit = SIDE / Math.max(rows, columns);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(columns * unit));
  canvas.height = Math.max(1, Math.round(rows * unit));
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      const heat = interpolated(values, ((y + 0.5) * rows) / canvas.height - 0.5, ((x + 0.5) * columns) / canvas.width - 0.5);
      picture.data.set([...colour(heat), 255 * OPAQUE * Math.sqrt(heat)], 4 * (y * canvas.width + x));
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

function interpolated(values, row, column) {
  const [top, bottom, down] = around(row, values.length);
  const [left, right, across] = around(column, values[0].length);
  const upper = values[top][left] * (1 - across) + values[top][right] * across;
  const lower = values[bottom][left] * (1 - across) + values[bottom][right] * across;
  return Math.min(1, Math.max(0, upper * (1 - down) + lower * down));
}

/** Return the cells on either side of a place, and how far it is from the first to the second. */
function around(place, count) {
  const held = Math.min(count - 1, Math.max(0, place));
  const first = Math.floor(held);
  return [first, Math.min(count - 1, first + 1), held - first];
}

function colour(heat) {
  const [first, second, way] = around(heat * (STOPS.length - 1), STOPS.length);
  return STOPS[first].map((level, channel) => level * (1 - way) + STOPS[second][channel] * way);
}
