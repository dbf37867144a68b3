package uploadpack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
)

// A request is one of a conversation, all of which it repeats.
type request struct {
	wants []plumbing.Hash
	can   []string
	// ends are commits whose parents they lack, and haves those that they have, nearest
	// first.
	ends  map[plumbing.Hash]bool
	haves []plumbing.Hash
	// done: they wait for the pack, whatever was found in common.
	done bool
}

// parse reads a request: what is wanted, a flush, and what is there, to a flush or done.
func parse(body io.Reader) (asked request, err error) {
	asked.ends = map[plumbing.Hash]bool{}
	lines := pktline.NewScanner(body)
	for lines.Scan() && len(lines.Bytes()) > 0 {
		if err := asked.wanted(string(bytes.TrimSuffix(lines.Bytes(), []byte("\n")))); err != nil {
			return asked, err
		}
	}
	if err := lines.Err(); err != nil {
		return asked, err
	}
	for !asked.done && lines.Scan() && len(lines.Bytes()) > 0 {
		word, name, _ := strings.Cut(string(bytes.TrimSuffix(lines.Bytes(), []byte("\n"))), " ")
		switch {
		case word == "done":
			asked.done = true
		case word == "have" && plumbing.IsHash(name):
			asked.haves = append(asked.haves, plumbing.NewHash(name))
		default:
			return asked, errMalformed
		}
	}
	return asked, lines.Err()
}

var errMalformed = errors.New("upload-pack: the request is malformed")

// wanted reads a line of what is wanted. The first has what the other side can do.
func (r *request) wanted(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	name, can, _ := strings.Cut(rest, " ")
	switch {
	case word == "deepen" || word == "deepen-since" || word == "deepen-not" || word == "filter":
		return errWhole
	case !plumbing.IsHash(name):
		return errMalformed
	case word == "want":
		if len(r.wants) == 0 {
			r.can = strings.Fields(can)
		}
		r.wants = append(r.wants, plumbing.NewHash(name))
	case word == "shallow":
		r.ends[plumbing.NewHash(name)] = true
	default:
		return errMalformed
	}
	return nil
}

func (r *request) may(c capability.Capability) bool { return slices.Contains(r.can, c.String()) }

// roots are what is wanted: commits, and tags with what they are of.
func (r *request) roots(tags map[plumbing.Hash]tagged.Annotated) (roots []clone.Root) {
	for _, h := range r.wants {
		root := clone.Root{Commit: h}
		if tag, ok := tags[h]; ok {
			root = clone.Root{Commit: tag.Of, Tag: h}
		}
		roots = append(roots, root)
	}
	return roots
}

// maxMoved is how many commits the tip may have moved on by since somebody was told of it.
const maxMoved = 1000

// stranger is what is wanted of a commit that neither is the tip, nor was it a moment ago:
// who was told of one that has moved since finds it in the history of the present one. It
// is zero where there is none.
func stranger(roots []clone.Root, tip plumbing.Hash, from *pack.Store) (plumbing.Hash, error) {
	left := map[plumbing.Hash]bool{}
	for _, root := range roots {
		left[root.Commit] = true
	}
	behind := 0
	for at, err := range clone.Ancestry(from, tip, nil) {
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if delete(left, at.Commit); len(left) == 0 {
			return plumbing.ZeroHash, nil
		}
		if behind++; behind > maxMoved {
			break
		}
	}
	strange := roots[slices.IndexFunc(roots, func(root clone.Root) bool { return left[root.Commit] })]
	return cmp.Or(strange.Tag, strange.Commit), nil
}

func notOurs(h plumbing.Hash) error { return fmt.Errorf("upload-pack: not our ref %s", h) }

// answer says which commits both have, and gives the pack if it is waited for. As there is
// one history, one commit in common is enough to know what is lacking.
func (r *request) answer(ctx context.Context, w http.ResponseWriter, tip plumbing.Hash, roots []clone.Root, from *pack.Store) error {
	strange, err := stranger(roots, tip, from)
	if err != nil {
		return unreadable(w, err)
	}
	if !strange.IsZero() {
		refuse(w, notOurs(strange))
		return nil
	}
	head(w, "result")
	common := slices.DeleteFunc(slices.Clone(r.haves), func(h plumbing.Hash) bool {
		_, err := from.Read(h, plumbing.CommitObject)
		return err != nil
	})
	if !r.done {
		return r.negotiate(w, common)
	}
	objects, err := clone.Wanting(from, roots, common, r.ends)
	if err != nil {
		return unreadable(w, err)
	}
	if err := r.acknowledge(w, common); err != nil {
		return err
	}
	return r.send(ctx, w, from, objects)
}

// unreadable hides from others what fails here.
func unreadable(w http.ResponseWriter, err error) error {
	refuse(w, errors.New("upload-pack: the repo cannot be read"))
	return err
}

// negotiate answers who has more to tell.
func (r *request) negotiate(w io.Writer, common []plumbing.Hash) error {
	out := pktline.NewEncoder(w)
	if len(common) > 0 && !r.may(capability.MultiACKDetailed) {
		return out.Encodef("ACK %s\n", common[0])
	}
	for _, h := range common {
		if err := out.Encodef("ACK %s common\n", h); err != nil {
			return err
		}
	}
	if len(common) > 0 {
		if err := out.Encodef("ACK %s ready\n", common[len(common)-1]); err != nil {
			return err
		}
	}
	return out.EncodeString("NAK\n")
}

// acknowledge answers who waits for the pack.
func (r *request) acknowledge(w io.Writer, common []plumbing.Hash) error {
	out := pktline.NewEncoder(w)
	if len(common) == 0 {
		return out.EncodeString("NAK\n")
	}
	if !r.may(capability.MultiACKDetailed) {
		return out.Encodef("ACK %s\n", common[0])
	}
	for _, h := range common {
		if err := out.Encodef("ACK %s common\n", h); err != nil {
			return err
		}
	}
	return out.Encodef("ACK %s\n", common[len(common)-1])
}

// send sends a pack, in the form that was asked for.
func (r *request) send(ctx context.Context, w io.Writer, from *pack.Store, objects []plumbing.Hash) error {
	if !r.may(capability.Sideband64k) {
		return from.Write(ctx, w, objects)
	}
	out := pktline.NewEncoder(w)
	if err := from.Write(ctx, band{out, sideband.PackData}, objects); err != nil {
		_, told := band{out, sideband.ErrorMessage}.Write([]byte("the repo cannot be read to its end\n"))
		return errors.Join(fmt.Errorf("sending %d objects: %w", len(objects), err), told)
	}
	return out.Flush()
}

// A band is one of several that share a connection. go-git's own makes lines that are too
// long for its encoder.
type band struct {
	out *pktline.Encoder
	sideband.Channel
}

func (b band) Write(p []byte) (n int, err error) {
	for part := range slices.Chunk(p, pktline.MaxPayloadSize-1) {
		if err := b.out.Encode(b.WithPayload(part)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
