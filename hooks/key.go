package hooks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/gitboot/gitboot/hooks/kind"
)

// keyVersion changes when the same input renders to something else.
const keyVersion = 1

// Key returns a hash of everything in the input that decides the output. It
// runs and reads nothing. What is generated once and kept in StateDir counts
// by being asked for, not by its content; directories, Root and Log don't
// count, Base does. What a script finds out by itself, from the network or
// the machine it runs on, is not known here: it runs again when the key
// changes.
func Key(in Input) string {
	if len(in.Hooks) == 0 {
		in.Hooks = nil // none is none, however it came to be
	}
	h := sha256.New()
	err := json.NewEncoder(h).Encode(struct {
		Version                   int
		Machine, Image, Tag, Base string
		Hooks                     []kind.Hook
	}{keyVersion, in.Machine, in.Image, in.Tag, in.Base, in.Hooks})
	if err != nil {
		panic("hooks: a plain struct does not encode: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil))
}
