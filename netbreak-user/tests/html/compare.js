// Every element with data-at shows what the report has at that JSON pointer (RFC 6901).
const at = (pointer) => pointer.split("/").slice(1).reduce((value, key) => value?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], report);
addEventListener("load", () => {
  const [compared, different] = [[], []];
  for (const element of document.querySelectorAll("[data-at]")) {
    const pointer = element.dataset.at;
    const shown = element.hasAttribute("value") ? Number(element.getAttribute("value")) : element.textContent;
    compared.push(pointer);
    if (shown !== at(pointer)) different.push([pointer, shown, at(pointer)]);
    // A count that is shown as it is must read as it is, too.
    if (Number.isInteger(shown) && /^[0-9]+$/.test(element.textContent) && Number(element.textContent) !== shown) different.push([pointer, element.textContent]);
  }
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify({ compared, different, alone: performance.getEntriesByType("resource").length === 0 });
  document.body.append(result);
});
