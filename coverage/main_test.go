package coverage_test

import (
	"testing"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
