package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// A Push is a commit, whose tree and parents the server has, and the new ref that it
// is to have there, in full. A ref that is there already is left as it is.
type Push struct {
	Ref    string
	Commit []byte
}

// hash is the commit's name.
func (p Push) hash() plumbing.Hash { return plumbing.ComputeHash(plumbing.CommitObject, p.Commit) }

// request asks for the ref, nil if the server has it.
func (p Push) request(refs *packp.AdvRefs) (*packp.ReferenceUpdateRequest, error) {
	if refs.References[p.Ref] == p.hash() {
		return nil, nil
	}
	if other, there := refs.References[p.Ref]; there {
		return nil, &ref.TakenError{At: other}
	}
	store := memory.NewStorage()
	o := store.NewEncodedObject()
	o.SetType(plumbing.CommitObject)
	w, err := o.Writer()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(p.Commit); err != nil {
		return nil, err
	}
	if _, err := store.SetEncodedObject(o); err != nil {
		return nil, err
	}
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, store, false).Encode([]plumbing.Hash{o.Hash()}, 0); err != nil {
		return nil, err
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(refs.Capabilities)
	req.Commands = []*packp.Command{{Name: plumbing.ReferenceName(p.Ref), Old: plumbing.ZeroHash, New: p.hash()}}
	req.Packfile = io.NopCloser(&pack)
	return req, nil
}

// A RefusedError says that a server takes no push.
type RefusedError struct {
	URL  string
	With string // what was shown, as AuthError has it
	Err  error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("pushing to %s: refused with %s: %v; name a credential that may push new branches, with push_token_file or push_ssh_key_file in agent.toml", e.URL, e.With, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Push implements Remote.
func (r *httpsRemote) Push(ctx context.Context, allowed *Silence, p Push) error {
	auth, err := r.auth()
	if err != nil {
		return err
	}
	web, err := r.transport(allowed)
	if err != nil {
		return err
	}
	defer web.CloseIdleConnections()
	ep, err := transport.NewEndpoint(r.opts.URL)
	if err != nil {
		return fmt.Errorf("pushing to %s: %w", r.opts.URL, err)
	}
	ep.User = ""
	var method transport.AuthMethod
	if auth != nil {
		method = auth
	}
	session, err := githttp.NewClient(&http.Client{Transport: &guarded{RoundTripper: web}}).NewReceivePackSession(ep, method)
	if err != nil {
		return r.unpushed(err, auth)
	}
	defer session.Close()
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return r.unpushed(err, auth)
	}
	req, err := p.request(refs)
	if err != nil || req == nil {
		return err
	}
	if _, err := session.ReceivePack(ctx, req); err != nil {
		return r.unpushed(err, auth)
	}
	return nil
}

// unpushed turns a transport's error into ours: access that is refused is refused for
// pushing.
func (r *httpsRemote) unpushed(err error, auth *githttp.BasicAuth) error {
	err = r.explain(err, auth)
	denied, unreachable := (*AuthError)(nil), (*UnreachableError)(nil)
	switch {
	case errors.As(err, &denied):
		return &RefusedError{URL: r.opts.URL, With: denied.With, Err: denied.Err}
	case errors.As(err, &unreachable) && isCommandStatus(unreachable.Err):
		return &RefusedError{URL: r.opts.URL, With: "token file " + r.opts.TokenFile, Err: unreachable.Err}
	}
	return err
}

// isCommandStatus reports whether it is a server's word on a ref, such as that a rule
// protects it.
func isCommandStatus(err error) bool {
	return err != nil && bytes.HasPrefix([]byte(err.Error()), []byte("command error on "))
}

// Push implements Remote.
func (r *sshRemote) Push(ctx context.Context, allowed *Silence, p Push) error {
	client, stop, err := r.connect(ctx, allowed)
	if err != nil {
		if denied := (*AuthError)(nil); errors.As(err, &denied) {
			return &RefusedError{URL: r.opts.URL, With: denied.With, Err: denied.Err}
		}
		return err
	}
	defer func() { stop(); _ = client.Close() }()
	run, err := client.NewSession()
	if err != nil {
		return &UnreachableError{URL: r.opts.URL, Err: err}
	}
	defer run.Close()
	in, inErr := run.StdinPipe()
	out, outErr := run.StdoutPipe()
	words := &firstBytes{hangUp: client.Close}
	run.Stderr = words
	if err := errors.Join(inErr, outErr, run.Start("git-receive-pack "+shellQuote(r.path))); err != nil {
		return &UnreachableError{URL: r.opts.URL, Err: err}
	}
	if err := exchange(in, out, p); err != nil {
		timer := time.AfterFunc(farewell, func() { _ = client.Close() })
		_ = in.Close()
		_ = run.Wait()
		timer.Stop()
		if taken := (*ref.TakenError)(nil); errors.As(err, &taken) {
			return err
		}
		if said := Printable(string(words.said)); said != "" {
			err = fmt.Errorf("%w; the server says: %s", err, said)
		}
		return &RefusedError{URL: r.opts.URL, With: fmt.Sprintf("key file %s (user %s)", r.opts.SSHKeyFile, r.user), Err: err}
	}
	return nil
}

// exchange speaks with a git-receive-pack.
func exchange(in io.WriteCloser, out io.Reader, p Push) error {
	stream := &bounded{Reader: out}
	stream.expect("list of refs", maxRefs)
	refs := packp.NewAdvRefs()
	if err := refs.Decode(stream); err != nil {
		return err
	}
	req, err := p.request(refs)
	if err != nil {
		return err
	}
	if req == nil {
		_, err := io.WriteString(in, "0000") // nothing is asked for
		return errors.Join(err, in.Close())
	}
	if err := req.Encode(in); err != nil {
		return err
	}
	if err := in.Close(); err != nil {
		return err
	}
	if len(req.Capabilities.All()) == 0 {
		return nil
	}
	stream.expect("answer", maxAnswer)
	report := packp.NewReportStatus()
	if err := report.Decode(stream); err != nil {
		return err
	}
	return report.Error()
}
