() => {
  const problems = [];
  const shown = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const tell = (node, what) => problems.push(`${node.outerHTML.slice(0, 90)}: ${what}`);

  if (document.documentElement.scrollWidth > window.innerWidth) {
    problems.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  }
  if (!document.documentElement.lang) problems.push("the page names no language");
  if (!document.title) problems.push("the page has no title");
  if (document.querySelectorAll("h1").length !== 1) problems.push("the page has not one h1");

  const named = (node) => node.labels?.length || node.getAttribute("aria-label")
    || node.getAttribute("aria-labelledby") || node.innerText?.trim() || node.title;
  for (const node of document.querySelectorAll("a, button, input, select, textarea, [role=meter]")) {
    if (node.type !== "hidden" && shown(node) && !named(node)) tell(node, "has no name");
  }
  for (const node of document.querySelectorAll("img:not([alt])")) tell(node, "has no alt");
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => problems.push(`#${id} is there twice`));

  // Contrast of text with what lies under it, as WCAG 2.2 reckons it.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const backgrounds = (node) => (node
    ? [...backgrounds(node.parentElement), getComputedStyle(node).backgroundColor] : ["Canvas"]);

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !shown(node) || node.closest(":disabled, script")) continue;
    const under = backgrounds(node);
    const style = getComputedStyle(node);
    const [a, b] = [light(over(under)), light(over([...under, style.color]))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) tell(node, `"${text.slice(0, 30)}" has a contrast of ${ratio.toFixed(1)}`);
  }
  return problems;
}
