// Package enginetest gives tests a real ClickHouse. The test binary runs itself once more as the server, so that a test can
// kill it, measure its memory, and survive its crash.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
// and tests then ask for [ClickHouse], one server that all tests of the binary share, and for a database of their own:
//
//	ch := enginetest.ClickHouse(t)
//	db := ch.Database(t)
//	conn := ch.Conn(t, db)
//
// The engine is found as the product finds it, see package embedded/engine. A test whose engine is missing fails.
package enginetest
