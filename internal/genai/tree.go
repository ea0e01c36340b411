package genai

import "strings"

// A fact names a value that is looked for; zero is none.
type fact uint8

// A node says what is looked for at a place of a JSON text, and below it.
type node struct {
	fields map[string]*node // of an object
	items  *node            // of an array
	fact   fact             // a scalar here
	ending fact             // the end of the object or array here
}

// tree makes the node of a text's root from the places of facts: "usage.total",
// "choices[].finish_reason". A place that ends in "}" is an object's end.
func tree(places map[string]fact) *node {
	root := &node{}
	for place, f := range places {
		n := root
		path, ending := strings.CutSuffix(place, "}")
		for part := range strings.SplitSeq(path, ".") {
			name, isArray := strings.CutSuffix(part, "[]")
			if name != "" {
				n = n.field(name)
			}
			if isArray {
				if n.items == nil {
					n.items = &node{}
				}
				n = n.items
			}
		}
		if ending {
			n.ending = f
		} else {
			n.fact = f
		}
	}
	return root
}

func (n *node) field(name string) *node {
	if n.fields == nil {
		n.fields = map[string]*node{}
	}
	if n.fields[name] == nil {
		n.fields[name] = &node{}
	}
	return n.fields[name]
}

// A taker is given the facts that a scanner finds. text tells a string from a
// number, true, false or null; v is not kept.
type taker interface {
	take(f fact, v []byte, text bool)
	// end says that the object or array of a fact is complete.
	end(f fact)
}
