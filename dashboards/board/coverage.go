package board

// Coverage is the scorecard: whether telemetry tells what it should.
func Coverage() Dashboard {
	b := newBoard("coverage", "Coverage", "Whether telemetry tells what it should: a score out of 10 for each category, the checks behind it, and what to do.", clickHouse)
	b.choice(clickHouse, "category", "Category", "Categories of the scorecard", "SELECT DISTINCT category FROM ${database}.CoverageScore WHERE category != '' AND $__timeFilter(computedAt) ORDER BY category")
	const (
		chosen = "$__conditionalAll(category IN (${category:singlequote}), $category)"
		newest = "computedAt = (SELECT max(computedAt) FROM ${database}.CoverageScore WHERE $__timeFilter(computedAt))"
		from   = "\nFROM ${database}.CoverageScore WHERE "
	)
	scored := colors("red", 6., "orange", 8., "green")

	b.heading("As last computed in this time range")
	b.stat("Overall", "Mean of the categories. Below 8 look at the worst checks below.", clickHouse, "SELECT score AS \"overall\""+from+newest+" AND category = '' AND check = ''", decimals(1), unit("none"), scored, highest(10), size(6, 8))
	b.bars("Categories", "The score of each. One without a bar has nothing to measure.", clickHouse, "SELECT category, ifNull(score, 0) AS \"score\""+from+newest+" AND category != '' AND check = '' AND "+chosen+" ORDER BY category",
		decimals(1), unit("none"), highest(10), size(12, 8))
	b.stat("Checks below their target", "Of the chosen categories.", clickHouse, "SELECT countIf(value < target) AS \"checks\""+from+newest+" AND check != '' AND "+chosen, unit("short"), colors("green", 1., "orange"), size(3, 8))
	b.stat("Computed", "When that was. The alert CoverageIsLate fires after half an hour.", clickHouse, "SELECT max(computedAt) AS \"computed\""+from+"$__timeFilter(computedAt)", unit("dateTimeFromNow"), size(3, 8))

	b.heading("Over time")
	b.series("Scores", "A step down is a release or a configuration that took telemetry away.", clickHouse, `
SELECT $__timeInterval(computedAt) AS time, if(category = '', 'overall', toString(category)) AS label, avg(score) AS "Value"`+from+`$__timeFilter(computedAt) AND check = '' AND (category = '' OR `+chosen+`) GROUP BY time, label ORDER BY time, label`,
		decimals(1), unit("none"), every("5m"), highest(10))
	b.series("Offenders", "What is not as it should be, by category.", clickHouse, `
SELECT $__timeInterval(computedAt) AS time, toString(category) AS label, sum(offenders) / uniqExact(computedAt) AS "Value"`+from+`$__timeFilter(computedAt) AND check != '' AND `+chosen+" GROUP BY time, label ORDER BY time, label", unit("short"), every("5m"))

	b.heading("What to do")
	b.table("Checks", "The worst first. Share is of what was looked at; run the query to see the offenders.", clickHouse, `
SELECT category, check, value AS "share", target, offenders, total AS "looked at", evidence, remedy AS "what to do", database AS "asks", query`+from+newest+" AND check != '' AND "+chosen+" ORDER BY ifNull(value, 1) - target, offenders DESC", size(24, 16),
		column("share", append(byValue("red", 0.8, "orange", 0.95, "green"), inUnit("percentunit"), inDecimals(1))...), column("target", inUnit("percentunit"), inDecimals(0)), column("evidence", wide(360)), column("what to do", wide(360)))
	return b.d
}
