// Package forge tells a forge how a machine gets on with a commit of the config
// repo: the commit has a status of the context gitboot/MACHINE, as those of CI, so
// that a pull request shows which machines run it. Statuses follow from what the
// agent shows (package live) and from what is staged (package report): what they
// say is always of now, whatever could not be sent meanwhile.
package forge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/proxy"
)

// Kinds of forges.
const (
	GitHub  = "github"
	GitLab  = "gitlab"
	Forgejo = "forgejo"
	Gitea   = "gitea"
)

func kinds() []string { return []string{GitHub, GitLab, Forgejo, Gitea} }

// Options say which forge is told; without a kind none is.
type Options struct {
	Kind string
	// URL is the forge's, as people visit it, and Repo the config repo's path there.
	// Empty ones are those of Sources, from which the config repo is fetched: of the
	// first at URL, else of the first.
	URL, Repo string
	Sources   []string
	TokenFile string
	// Machine is this one's name.
	Machine string
	Proxy   proxy.Settings
	CAFile  string
}

// CheckKind says what is wrong with a kind of forge.
func CheckKind(kind string) error {
	if !slices.Contains(kinds(), kind) {
		return fmt.Errorf("is no kind of forge that can be told%s; write one of %s", nearest.Hint(kind, kinds()), strings.Join(kinds(), ", "))
	}
	return nil
}

// repoPath is what a repo's path on a forge may be; with GitLab, groups nest.
var repoPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$`)
})

// Check says what else is wrong with the options.
func (o Options) Check() error {
	if o.TokenFile == "" {
		return errors.New("takes statuses from who has a token alone; name the token's file with token_file")
	}
	base, repo := o.place()
	if base == "" {
		return errors.New("has no address that follows from repo; write url")
	}
	if err := outbound.Check(base, true); err != nil {
		return fmt.Errorf("at url %w", err)
	}
	if !repoPath().MatchString(repo) {
		return errors.New("has no path of the config repo that follows from repo; write repo in [forge], as OWNER/NAME")
	}
	return nil
}

// scpLike is git's short form of an address over ssh.
var scpLike = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:[^@/]+@)?([^:/]+):([^/].*)$`) })

// place is where the forge is, and the config repo's path on it.
func (o Options) place() (base, repo string) {
	base, repo = strings.TrimRight(o.URL, "/"), o.Repo
	host, path := o.source(base)
	if base == "" && host != "" {
		base = "https://" + host
	}
	return base, cmp.Or(repo, path)
}

// source is what the one of the repo's addresses names that is at a forge, else the
// first that names a host.
func (o Options) source(base string) (host, path string) {
	for _, s := range o.Sources {
		switch h, p := located(s); {
		case h != "" && base == "https://"+h:
			return h, p
		case host == "":
			host, path = h, p
		}
	}
	return host, path
}

// located is the host and the path that a repo's address names, of one that has both.
func located(source string) (host, path string) {
	if m := scpLike().FindStringSubmatch(source); m != nil {
		host, path = m[1], m[2]
	} else if u, err := url.Parse(source); err == nil && (u.Scheme == "https" || u.Scheme == "ssh") {
		host, path = u.Host, u.Path
		if u.Scheme == "ssh" {
			host = u.Hostname()
		}
	}
	return host, strings.TrimSuffix(strings.Trim(path, "/"), ".git")
}

// description is the longest that a status may say: GitHub's limit, which is the
// shortest.
const description = 140

// document is a commit's status as the forge takes it:
//
//   - GitHub: docs.github.com/rest/commits/statuses, "Create a commit status"
//   - GitLab: docs.gitlab.com/api/commits, "Set commit pipeline status"
//   - Forgejo, Gitea: /api/swagger of each, repoCreateStatus; docs.gitea.com/api
func (o Options) document(s Status) (outbound.Document, error) {
	base, repo := o.place()
	name, text := "gitboot/"+o.Machine, plain.Cut(plain.Line(s.Text), description)
	doc := outbound.Document{Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, TokenFile: o.TokenFile}
	body := map[string]string{"state": string(s.State), "description": text, "context": name}
	doc.Authorize = func(h http.Header, token string) { h.Set("Authorization", "token "+token) }
	if s.State == Overtaken {
		body["state"] = string(Pending)
	}
	switch o.Kind {
	case GitHub:
		api := base + "/api/v3" // GitHub Enterprise Server
		if base == "https://github.com" {
			api = "https://api.github.com"
		}
		doc.URL = fmt.Sprintf("%s/repos/%s/statuses/%s", api, repo, s.Revision)
		doc.Header.Set("Accept", "application/vnd.github+json")
		doc.Header.Set("X-GitHub-Api-Version", "2022-11-28")
		doc.Authorize = func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }
	case GitLab:
		doc.URL = fmt.Sprintf("%s/api/v4/projects/%s/statuses/%s", base, url.PathEscape(repo), s.Revision)
		doc.Authorize = func(h http.Header, token string) { h.Set("PRIVATE-TOKEN", token) }
		delete(body, "context")
		body["name"] = name
		body["state"] = cmp.Or(map[State]string{Failure: "failed", Overtaken: "canceled"}[s.State], body["state"])
	default:
		doc.URL = fmt.Sprintf("%s/api/v1/repos/%s/statuses/%s", base, repo, s.Revision)
	}
	var err error
	doc.Body, err = json.Marshal(body)
	return doc, err
}

// settled reports whether a forge has what it was told, though it has refused it:
// GitLab's states are those of a job, which does not become what it is.
func (o Options) settled(err error) bool {
	refused := (*outbound.RefusedError)(nil)
	return o.Kind == GitLab && errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(refused.Error(), "Cannot transition status")
}
