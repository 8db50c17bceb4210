(function () {
  var page = document;
  var tools = page.querySelector('.tools');
  var field = page.getElementById('filter');
  var only = page.getElementById('only');
  var shown = page.getElementById('shown');
  var rows = [].slice.call(page.querySelectorAll('.m tbody tr'));
  var opened = [];

  function applyFilter() {
    var text = field.value.toLowerCase();
    var count = 0;
    rows.forEach(function (row) {
      var named = row.cells[0].textContent.toLowerCase().indexOf(text) >= 0;
      var hide = !named || (only.checked && row.className !== 'bad-row');
      var own = page.getElementById(row.getAttribute('data-o'));
      row.hidden = hide;
      if (own) { own.hidden = hide; }
      count += hide ? 0 : 1;
    });
    shown.textContent = count + ' of ' + rows.length + ' shown';
  }

  // A target may be folded, or hidden by the filter.
  function revealTarget() {
    var found = location.hash && page.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var place = found; place; place = place.parentElement) {
      if (place.tagName === 'DETAILS') { place.open = true; }
      if (place.hidden) { place.hidden = false; }
    }
    if (found) { found.scrollIntoView(); }
  }

  function moveFocus(event) {
    var cell = event.target.closest && event.target.closest('.m td, .m th');
    var moves = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]
    };
    var move = moves[event.key];
    if (!cell || !move) { return; }
    var lines = [].slice.call(page.querySelectorAll('.m tr'));
    var line = lines.indexOf(cell.parentElement) + move[0];
    var place = cell.cellIndex + move[1];
    while (lines[line] && lines[line].cells[place]) {
      var link = !lines[line].hidden && lines[line].cells[place].querySelector('a');
      if (link) {
        event.preventDefault();
        link.focus();
        return;
      }
      line += move[0];
      place += move[1];
    }
  }

  if (tools) {
    tools.hidden = false;
    field.addEventListener('input', applyFilter);
    only.addEventListener('change', applyFilter);
  }
  page.addEventListener('keydown', moveFocus);
  window.addEventListener('hashchange', revealTarget);
  window.addEventListener('beforeprint', function () {
    opened = [].slice.call(page.querySelectorAll('details:not([open])'));
    opened.forEach(function (one) { one.open = true; });
  });
  window.addEventListener('afterprint', function () {
    opened.forEach(function (one) { one.open = false; });
  });
  revealTarget();
}());
