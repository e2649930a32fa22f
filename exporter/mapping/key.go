package mapping

import "hash/maphash"

// keyID is the small number of a known attribute key.
type keyID uint16

// maxKeys bounds the known keys; a view keeps one slot for each.
const maxKeys = 448

// keySet is a set of known keys.
type keySet [maxKeys / 64]uint64

func (s *keySet) add(id keyID)           { s[id/64] |= 1 << (id % 64) }
func (s *keySet) contains(id keyID) bool { return s[id/64]&(1<<(id%64)) != 0 }

func (s *keySet) intersects(o *keySet) bool {
	for i := range s {
		if s[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// registry numbers the keys that the tables name. It is complete when the package is initialized.
type registry struct {
	seed  maphash.Seed
	names []string
	slots [4 * 512]keyID // open addressing; 0 is empty, else id+1
}

// keys is the one table in which each attribute key of a record is looked up once.
var keys = &registry{seed: maphash.MakeSeed()}

func (r *registry) intern(name string) keyID {
	p := r.hash(name) % uint64(len(r.slots))
	for ; r.slots[p] != 0; p = (p + 1) % uint64(len(r.slots)) {
		if r.names[r.slots[p]-1] == name {
			return r.slots[p] - 1
		}
	}
	if len(r.names) == maxKeys {
		panic("BUG: more known keys than maxKeys")
	}
	r.names = append(r.names, name)
	r.slots[p] = keyID(len(r.names)) //nolint:gosec // In range, see above.
	return r.slots[p] - 1
}

func (r *registry) hash(name string) uint64 { return maphash.String(r.seed, name) }

// find returns the number of a key whose hash is h.
func (r *registry) find(h uint64, name string) (keyID, bool) {
	for p := h % uint64(len(r.slots)); r.slots[p] != 0; p = (p + 1) % uint64(len(r.slots)) {
		if id := r.slots[p] - 1; r.names[id] == name {
			return id, true
		}
	}
	return 0, false
}

// hashTable is an open-addressing table of indexes that is emptied by counting up, not by clearing.
type hashTable struct {
	slots []hashSlot
	gen   uint32
}

type hashSlot struct {
	gen uint32
	idx int32
	sum uint64
}

// keepSlots is how many slots a table keeps from one request to the next.
const keepSlots = 1 << 18

// reset empties the table and makes room for n entries.
func (t *hashTable) reset(n int) {
	t.gen++
	if len(t.slots) >= 2*n && (len(t.slots) <= keepSlots || 2*n > keepSlots) && t.gen != 0 {
		return
	}
	size := 64
	for size < 2*n {
		size *= 2
	}
	t.slots, t.gen = make([]hashSlot, size), 1
}

// start returns the first slot to look at for the hash; next the one after it.
func (t *hashTable) start(sum uint64) int { return int(sum & uint64(len(t.slots)-1)) } //nolint:gosec // In range, see above.

func (t *hashTable) next(p int) int { return (p + 1) & (len(t.slots) - 1) }

// used reports whether the slot holds an entry.
func (t *hashTable) used(p int) bool { return t.slots[p].gen == t.gen }

func (t *hashTable) set(p int, sum uint64, idx int) {
	t.slots[p] = hashSlot{gen: t.gen, idx: int32(idx), sum: sum} //nolint:gosec // An index of a request.
}
