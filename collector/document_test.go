package collector_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/collector/durability"
)

// TestTheDocumentOfDeliveryIsTrue compares what docs/delivery.md names with what there is.
func TestTheDocumentOfDeliveryIsTrue(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	doc := read("../docs/delivery.md")
	section := func(from, to string) string {
		_, rest, ok := strings.Cut(doc, from)
		require.True(t, ok, from)
		part, _, ok := strings.Cut(rest, to)
		require.True(t, ok, to)
		return part
	}
	firstCells := regexp.MustCompile("(?m)^\\| ((?:`[a-z_:]+`(?:, )?)+) \\|")
	ticked := regexp.MustCompile("`([a-z_:]+)`")
	names := func(text string, minimum int) (all []string) {
		for _, cells := range firstCells.FindAllStringSubmatch(text, -1) {
			for _, m := range ticked.FindAllStringSubmatch(cells[1], -1) {
				all = append(all, m[1])
			}
		}
		require.GreaterOrEqual(t, len(all), minimum)
		return all
	}

	metrics := read("../exporter/agenttrailexporter/documentation.md")
	for _, name := range names(section("## Reading the metrics", "## Dead letters"), 12) {
		require.Contains(t, metrics, "### otelcol_agenttrail_exporter_"+name+"\n")
	}
	settings := read("../exporter/agenttrailexporter/README.md")
	for _, name := range names(section("## Settings", "**What must not be"), 10) {
		require.Contains(t, settings, "\n| `"+name+"` |")
	}
	refused := section("- refuses, in pipelines", "`sending_queue`")
	processors := ticked.FindAllStringSubmatch(refused, -1)
	require.Len(t, processors, 6)
	for _, m := range processors {
		problems, _ := durability.Check(map[string]any{"service": map[string]any{"pipelines": map[string]any{
			"traces": map[string]any{"processors": []any{m[1]}, "exporters": []any{"agenttrail"}},
		}}})
		require.Len(t, problems, 1, m[1])
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(doc, -1) {
		require.FileExists(t, "../docs/"+link[1])
	}
	makefile := read("../Makefile")
	for _, m := range regexp.MustCompile("`make ([a-z-]+)").FindAllStringSubmatch(doc, -1) {
		require.Contains(t, makefile, "\n"+m[1]+":")
	}
}
