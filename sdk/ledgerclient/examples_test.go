package ledgerclient_test

import (
	"testing"

	"github.com/agenttrail/agenttrail/internal/exampletest"
)

// TestEveryFeatureHasAnExample checks that some Example uses each exported function, method and kind of value.
func TestEveryFeatureHasAnExample(t *testing.T) {
	t.Parallel()
	exampletest.EveryFeature(t, 70)
}
