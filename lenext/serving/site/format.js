/** Numbers as people read them. */

/** Return a count with three digits: 61.7 k, 25.6 M, 4.09 G. */
export function short(count) {
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (count >= unit) {
      const value = count / unit;
      return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${name}`;
    }
  }
  return String(count);
}

/** Return a probability or a share, 0 to 1, in percent; what is not quite all or nothing is not rounded to it. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  if (share < 1 && share >= 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

export const shape = (sides) => sides.join("×");

/** Return how many times as much: ×1.31. */
export const times = (now, before) => `×${(now / before).toPrecision(3)}`;

/** Return the name of a part as people say it: stages.0 is stage 1. */
export const partName = (path) => path.replace(/^stages\.(\d+)$/, (_, number) => `stage ${Number(number) + 1}`);
