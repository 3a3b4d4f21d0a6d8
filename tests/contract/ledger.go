// Checks what our ledger says by the Go team's own packages: one JSON document in, "good" or a fault out.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"oracle/note"
	"oracle/tlog"
)

type proof struct {
	Old, Size, Index int64
	OldRoot, Root    string
	Leaf             string
	Proof            []string
}

type question struct {
	Entries     []string
	Root        string
	Note        string
	Vkey        string
	Inclusion   []proof
	Consistency []proof
	Tiles       map[string]string
}

func hash(text string) tlog.Hash {
	one, err := tlog.ParseHash(text)
	must(err)
	return one
}

func hashes(texts []string) []tlog.Hash {
	found := []tlog.Hash{}
	for _, one := range texts {
		found = append(found, hash(one))
	}
	return found
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	var asked question
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	stored := []tlog.Hash{}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := []tlog.Hash{}
		for _, one := range indexes {
			found = append(found, stored[one])
		}
		return found, nil
	})
	for number, entry := range asked.Entries {
		more, err := tlog.StoredHashes(int64(number), []byte(entry), reader)
		must(err)
		stored = append(stored, more...)
	}
	size := int64(len(asked.Entries))
	root, err := tlog.TreeHash(size, reader)
	must(err)
	if root != hash(asked.Root) {
		must(fmt.Errorf("root %v, not %v", root, asked.Root))
	}
	for _, one := range asked.Inclusion {
		must(tlog.CheckRecord(hashes(one.Proof), one.Size, hash(one.Root), one.Index, hash(one.Leaf)))
	}
	for _, one := range asked.Consistency {
		must(tlog.CheckTree(hashes(one.Proof), one.Size, hash(one.Root), one.Old, hash(one.OldRoot)))
	}
	for path, content := range asked.Tiles {
		tile, err := tlog.ParseTilePath(path)
		must(err)
		made, err := tlog.ReadTileData(tile, reader)
		must(err)
		if fmt.Sprintf("%x", made) != content {
			must(fmt.Errorf("%s: another tile", path))
		}
	}
	verifier, err := note.NewVerifier(asked.Vkey)
	must(err)
	opened, err := note.Open([]byte(asked.Note), note.VerifierList(verifier))
	must(err)
	fmt.Printf("good %d\n", len(opened.Sigs)+len(opened.UnverifiedSigs))
}
