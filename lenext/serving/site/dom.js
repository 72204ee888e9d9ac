/** Making elements: text stays text, and what a style sheet takes as a variable is set without inline styles. */

/**
 * Return an element. Of `given`, `on` holds listeners, `vars` custom properties, `data` data attributes; the rest are
 * attributes, of which false, null and undefined are left out.
 */
export function el(tag, given = {}, ...children) {
  return fill(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), given, children);
}

function fill(node, { on = {}, vars = {}, ...attributes }, children) {
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  setVars(node, vars);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function setVars(node, vars) {
  for (const [name, value] of Object.entries(vars)) node.style.setProperty(`--${name}`, value);
}

export const byId = (id) => document.getElementById(id);
