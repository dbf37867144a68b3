package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/version"
)

const (
	// pageTags is how many tags are asked for at once. Registries may give fewer.
	pageTags = 1000
	// maxTagPages and maxTags bound a list without end.
	maxTagPages = 500
	maxTags     = 100_000
)

// highestTag looks through a repository's tags for the highest within a
// constraint.
func (e *endpoint) highestTag(ctx context.Context, among version.Constraint) (string, error) {
	choice := among.Choose()
	seen, path := 0, fmt.Sprintf("tags/list?n=%d", pageTags)
	for range maxTagPages {
		tags, next, err := e.pageOfTags(ctx, path)
		if err != nil {
			return "", err
		}
		for _, tag := range tags {
			choice.Add(tag)
		}
		if seen += len(tags); seen > maxTags {
			break
		}
		if next == "" {
			return e.chosen(choice.Name(), among, seen)
		}
		path = next
	}
	return "", &untrusted.UnsupportedError{What: e.String(), Reason: fmt.Sprintf("it has more than %d tags, or lists them on more than %d pages", maxTags, maxTagPages),
		Remedy: "remove old tags there, or name one tag"}
}

func (e *endpoint) chosen(tag string, among version.Constraint, seen int) (string, error) {
	if tag == "" {
		return "", &exchange.NoTagError{Repository: e.String(), Constraint: among.String(), Tags: seen}
	}
	return tag, nil
}

// pageOfTags fetches one page, and says where the next one is, "" if there is
// none.
func (e *endpoint) pageOfTags(ctx context.Context, path string) (tags []string, next string, err error) {
	resp, err := e.do(ctx, request{method: http.MethodGet, path: path, what: "list of tags"}, http.StatusOK)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	what := "list of tags of " + e.String()
	data, err := io.ReadAll(io.LimitReader(resp.Body, untrusted.MaxDocument+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", what, untrusted.Clean(err))
	}
	if err := untrusted.CheckDocument(data, what); err != nil {
		return nil, "", err
	}
	var page struct{ Tags []string }
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, "", &untrusted.UnsupportedError{What: what, Reason: "it is not what registries answer", Remedy: "check the image's name, or name one tag"}
	}
	next, err = e.nextPage(resp, "tags/list", "name one tag")
	return page.Tags, next, err
}

// nextPage reads the header that leads on (RFC 8288), which must lead to the
// same list of the same registry.
func (e *endpoint) nextPage(resp *http.Response, list, remedy string) (string, error) {
	link, _, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(resp.Header.Get("Link")), "<"), ">")
	if !found {
		return "", nil
	}
	u, err := url.Parse(link)
	if err == nil {
		u = resp.Request.URL.ResolveReference(u)
	}
	if err != nil || u.Host != resp.Request.URL.Host || u.Path != "/v2/"+e.repo.RepositoryStr()+"/"+list {
		return "", &untrusted.UnsupportedError{What: list + " of " + e.String(), Reason: fmt.Sprintf("it goes on at %q, which is another place", untrusted.Printable(link, 100)), Remedy: remedy}
	}
	return list + "?" + u.RawQuery, nil
}
