// Improves pages that work without it: keys, search while typing, areas drawn on the map.
"use strict";

const WAIT_MS = 250;
let waiting = 0;
let latest = 0;

async function searchNow() {
  const form = document.getElementById("search");
  const address = "/?" + new URLSearchParams(new FormData(form));
  const number = ++latest;
  const response = await fetch(address);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const found = page.getElementById("found");
  // An answer that a later key has overtaken, or the page of a row.
  if (number !== latest || !found) return;
  document.getElementById("found").replaceWith(found);
  history.replaceState(null, "", address);
  drawOnMap();
}

document.getElementById("search")?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(searchNow, WAIT_MS);
});

function move(step) {
  const links = [...document.querySelectorAll(".list > li > .words a")];
  const next = links.indexOf(document.activeElement) + step;
  if (links.length) links[Math.max(0, Math.min(next, links.length - 1))].focus();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input[type=search]");
  if (isTyping && event.key === "Escape") event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j" || event.key === "k") {
    move(event.key === "j" ? 1 : -1);
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input")) target.select();
  else target.click();
});

function drawOnMap() {
  const map = document.querySelector(".map svg");
  if (!map) return;
  const drawn = map.querySelector(".drawn");
  let start = null;
  const place = (event) => {
    const frame = map.getBoundingClientRect();
    const share = (value, size) => Math.max(0, Math.min(1, value / size));
    return [share(event.clientX - frame.left, frame.width), share(event.clientY - frame.top, frame.height)];
  };
  const edges = (end) => [0, 1].map((axis) => [start[axis], end[axis]].sort((a, b) => a - b));
  map.addEventListener("dragstart", (event) => event.preventDefault());
  map.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse") start = place(event);
  });
  map.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [[left, right], [top, bottom]] = edges(place(event));
    const size = map.viewBox.baseVal;
    for (const [name, value] of Object.entries({ x: left * size.width, y: top * size.height, width: (right - left) * size.width, height: (bottom - top) * size.height }))
      drawn.setAttribute(name, value);
  });
  map.addEventListener("click", (event) => {
    const from = start;
    if (!from) return;
    const [[left, right], [top, bottom]] = edges(place(event));
    start = null;
    drawn.setAttribute("width", 0);
    // A click follows the link below it.
    if (right - left < 0.01 || bottom - top < 0.01) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = map.dataset.box.split(",").map(Number);
    const across = (share) => x0 + share * (x1 - x0);
    const up = (share) => y1 - share * (y1 - y0);
    const query = new URLSearchParams(location.search);
    query.delete("page");
    query.set("box", [across(left), up(bottom), across(right), up(top)].join(","));
    location.search = query;
  });
  addEventListener("pointerup", (event) => {
    if (start && !map.contains(event.target)) {
      start = null;
      drawn.setAttribute("width", 0);
    }
  });
}

drawOnMap();
