package schema

// LongRetention keeps rows of fixed dates for as long as the tests are run.
var LongRetention = func() Retention {
	r := DefaultRetention()
	for table := range r {
		r[table] = maxRetention
	}
	return r
}()
