package rotationtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// A hostile change of a state document: of the value at a path, to another one.
type hostile struct {
	path []any // keys of objects and indices of arrays
	to   any
}

// asks reports whether the change is one that asks for an outage, as RevokeNow
// does: who may write the state may ask.
func (h hostile) asks() bool {
	switch h.path[0] {
	case "request", "emergency", "condemned", "killed":
		return true
	}
	return h.to == string(rotation.PhaseRevoking)
}

func (h hostile) String() string { return fmt.Sprintf("%v := %v", h.path, h.to) }

// apply returns doc with the change.
func (h hostile) apply(doc []byte) []byte {
	tree := decodeTree(doc)
	tree = put(tree, h.path, h.to)
	changed, err := json.Marshal(tree)
	if err != nil {
		panic(err)
	}
	return changed
}

func decodeTree(doc []byte) (tree any) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		panic(err)
	}
	return tree
}

func put(tree any, path []any, to any) any {
	if len(path) == 0 {
		return to
	}
	switch node := tree.(type) {
	case map[string]any:
		node = maps.Clone(node)
		node[path[0].(string)] = put(node[path[0].(string)], path[1:], to)
		return node
	case []any:
		node = slices.Clone(node)
		node[path[0].(int)] = put(node[path[0].(int)], path[1:], to)
		return node
	}
	return to
}

// leaves calls f for each value in a tree that is no object and no array.
func leaves(tree any, path []any, f func(path []any, value any)) {
	switch node := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(node)) {
			leaves(node[name], append(slices.Clone(path), name), f)
		}
	case []any:
		for i, value := range node {
			leaves(value, append(slices.Clone(path), i), f)
		}
	default:
		f(path, tree)
	}
}

// hostileChanges returns what a writer of the state document might try: each
// string becomes each other one of its kind that occurs in the document or
// belongs to a key of somebody else, times and numbers become absurd, records
// change places.
func (w *world) hostileChanges() (changes []hostile) {
	tree := decodeTree(w.document())
	ids, names, prints := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range w.service.Keys() {
		ids[k.ID], names[k.Name] = true, true
		prints[w.service.find(k.ID).key.Fingerprint()] = true
	}
	kinds := map[string]map[string]bool{"id": ids, "condemned": ids, "name": names, "fingerprint": prints, "parked": prints,
		"domain": {"deadbeef-00ff00": true, "": true}, "store": {"memory:other": true},
		"account": {"svc_other": true, "svc_person": true}, "holder": {"": true, "somebody": true},
		"phase": {}, "request": {}}
	for _, p := range []rotation.Phase{rotation.PhaseIdle, rotation.PhaseIntent, rotation.PhaseStaged, rotation.PhaseTested, rotation.PhasePromoting,
		rotation.PhaseDraining, rotation.PhaseRevoking, rotation.PhaseRollback, rotation.PhaseRestoring, rotation.PhaseReverting, rotation.PhaseFailed} {
		kinds["phase"][string(p)] = true
	}
	leaves(tree, nil, func(path []any, value any) {
		name, _ := path[len(path)-1].(string)
		switch v := value.(type) {
		case string:
			if _, err := time.Parse(time.RFC3339, v); err == nil {
				for _, d := range []time.Duration{-1000 * time.Hour, -2 * time.Hour, time.Minute, 1000 * time.Hour} {
					changes = append(changes, hostile{path, time.Now().Add(d).UTC().Format(time.RFC3339)})
				}
				return
			}
			for _, to := range slices.Sorted(maps.Keys(kinds[name])) {
				if to != v {
					changes = append(changes, hostile{path, to})
				}
			}
		case json.Number:
			for _, to := range []int{-1, 0, 1, 2, 7, 1 << 40} {
				changes = append(changes, hostile{path, to})
			}
		case bool:
			changes = append(changes, hostile{path, !v})
		}
	})
	return append(changes, hostileRecords(w, tree.(map[string]any))...)
}

// hostileRecords are changes of whole records.
func hostileRecords(w *world, doc map[string]any) (changes []hostile) {
	places := []string{"current", "next", "former"}
	for _, to := range places {
		for _, from := range places {
			if from != to && doc[from] != nil {
				changes = append(changes, hostile{[]any{to}, doc[from]})
			}
		}
		if doc[to] != nil {
			changes = append(changes, hostile{[]any{to}, nil}, hostile{[]any{to, "foreign"}, true})
		}
	}
	var every []any
	for _, k := range w.service.Keys() {
		record := map[string]any{
			"id": k.ID, "account": k.AccountID, "name": k.Name, "fingerprint": w.service.find(k.ID).key.Fingerprint(),
			"rotation": doc["rotation"], "attempt": doc["attempt"], "minted_at": k.CreatedAt.UTC().Format(time.RFC3339),
		}
		orphan := maps.Clone(record)
		delete(orphan, "fingerprint")
		orphan["fingerprint"] = ""
		every = append(every, orphan)
		for _, to := range []string{"next", "former"} {
			changes = append(changes, hostile{[]any{to}, record})
		}
		changes = append(changes, hostile{[]any{"orphans"}, []any{orphan}}, hostile{[]any{"orphans"}, []any{record}})
	}
	return append(changes, hostile{[]any{"orphans"}, every}, hostile{[]any{"request"}, "rollback"}, hostile{[]any{"request"}, "emergency"},
		hostile{[]any{"emergency"}, true}, hostile{[]any{"more"}, 1})
}

// hostileState: after each write of the state document somebody changes it.
// Whatever they write, no key is revoked that is not ours, nor the one that
// readers have, and no reader's call fails, unless it is that what they ask for.
func hostileState(s *simulation) {
	stops := 0
	for n, c := range s.undisturbed(ours) {
		if !strings.HasPrefix(c.op, "SetState ") {
			continue
		}
		var changes []hostile
		s.run("to see what could be changed", ours, rotate(afterCall(n, func(c *simCall) { changes = c.a.w.hostileChanges() })))
		for i, change := range changes {
			s.offer(fmt.Sprint(change.path...), fmt.Sprintf("change %d after the write at call %d", i, n), ours, func(w *world) {
				a := w.rotator()
				a.plan = afterCall(n, func(*simCall) {
					change := w.hostileChanges()[i] // whose ids and names are this world's
					w.note("HOSTILE: %v", change)
					if change.asks() {
						w.set(func() { w.outage, w.revokeNow = true, true })
					}
					w.store.replaceState(change.apply(w.document()))
				})
				if w.driveFor(w.ask(a), 2*simInterval) {
					stops++
				}
				if w.id(w.pointer()) == "" || w.service.Call(w.pointer()) != nil {
					w.fail("the store's key is dead in the end")
				}
				w.judgeOthers()
			})
		}
	}
	s.explore()
	s.t.Logf("the rotator stopped in %d", stops)
}

// afterCall is the plan to do something when a process has made its n-th call.
func afterCall(n int, do func(c *simCall)) func(*simCall) fault {
	return atOwn(n, func(c *simCall) error {
		err := c.act(c.ctx)
		do(c)
		return err
	})
}

// document is the state document.
func (w *world) document() []byte {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return bytes.Clone(w.store.state)
}

// replaceState replaces the state document, as somebody else does.
func (m *Memory) replaceState(doc []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial++
	m.state, m.doc = doc, m.serial
}

// garbledState: a document that is none, or is cut off, stops the rotator,
// which deletes nothing, and Adopt begins anew.
func garbledState(s *simulation) {
	var whole []byte
	s.run("to have a document", ours, func(w *world) { whole = w.document() })
	garbled := [][]byte{{}, []byte("null"), []byte("[]"), []byte("{}"), []byte(`"idle"`), bytes.Repeat([]byte("["), maxState),
		append(bytes.Clone(whole), whole...), bytes.Repeat([]byte{0xff}, 100), []byte(`{"format":1}`), bytes.ToUpper(whole)}
	odd := len(garbled)
	for n := 1; n < len(whole); n += 7 {
		garbled = append(garbled, whole[:n])
	}
	for i, doc := range garbled {
		class := "cut off"
		if i < odd {
			class = "no document"
		}
		s.offer(class, fmt.Sprintf("%d bytes %.30q", len(doc), doc), ours, func(w *world) {
			w.store.replaceState(doc)
			revoked := len(w.revoked)
			if !w.driveFor(w.rotator(), 2*simInterval) {
				w.fail("the rotator does not stop")
			}
			if len(w.revoked) > revoked {
				w.fail("%v was revoked", w.revoked[revoked:])
			}
			a := w.rotator()
			before := w.pointer()
			if err := a.r.Adopt(a.ctx); err != nil {
				w.fail("Adopt: %v", err)
			}
			w.ask(a)
			if err := a.drive(func() bool { return w.phase() == rotation.PhaseIdle && !w.pointer().Equal(before) }); err != nil {
				w.fail("after Adopt: %v", err)
			}
			w.judgeOthers()
		})
	}
	s.explore()
}
