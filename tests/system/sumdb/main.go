// Checks checkpoints and proofs with the code that the go command checks its own transparency log
// with (golang.org/x/mod/sumdb). Reads one JSON document from standard input:
//
//	{"key", "checkpoint",                            the note, and the key that must have signed it
//	 "records": [{"index", "leaf", "path"}],         in the tree of that checkpoint
//	 "trees": [{"from", "from_root", "path"}]}       earlier trees, that it has grown from
//
// and prints how many proofs hold; or what does not.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Key        string
	Checkpoint string
	Records    []struct {
		Index int64
		Leaf  []byte
		Path  [][]byte
	}
	Trees []struct {
		From     int64
		FromRoot []byte `json:"from_root"`
		Path     [][]byte
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hashes(path [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, hash := range path {
		if copy(out[i][:], hash) != tlog.HashSize || len(hash) != tlog.HashSize {
			fail(fmt.Errorf("not a hash: %s", base64.StdEncoding.EncodeToString(hash)))
		}
	}
	return out
}

func main() {
	var in input
	fail(json.NewDecoder(os.Stdin).Decode(&in))
	verifier, err := note.NewVerifier(in.Key)
	fail(err)
	opened, err := note.Open([]byte(in.Checkpoint), note.VerifierList(verifier))
	fail(err)
	var origin, root string
	var size int64
	_, err = fmt.Sscanf(opened.Text, "%s\n%d\n%s\n", &origin, &size, &root)
	fail(err)
	if origin != verifier.Name() {
		fail(fmt.Errorf("origin %s, signed by %s", origin, verifier.Name()))
	}
	head, err := tlog.ParseHash(root)
	fail(err)
	for _, record := range in.Records {
		fail(tlog.CheckRecord(hashes(record.Path), size, head, record.Index,
			tlog.RecordHash(record.Leaf)))
	}
	for _, tree := range in.Trees {
		fail(tlog.CheckTree(hashes(tree.Path), size, head, tree.From,
			hashes([][]byte{tree.FromRoot})[0]))
	}
	fmt.Println(len(in.Records) + len(in.Trees))
}
