package containerfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/parser"
)

// corpus is one Containerfile an element, each with a FROM before it.
var corpus = []string{
	"RUN true", "run true", "Run true && \\\n  false", "RUN true \\\n# a comment\n\n  && false", "RUN a \\\\\nRUN b", "RUN a \\", "\tRUN a", "RUN", "RUN \\",
	"RUN [\"a\", \"b\"]", "RUN [\"a\", 1]", "RUN [a, b]", "RUN []", "RUN --mount=type=cache,target=/x true", "RUN --mount=type=tmpfs,target=/x --network=none true",
	"RUN --mount=type=none,target=/x true", "RUN --mount=type=cache true", "RUN --mount=target=/x true", "RUN --mount=type=secret,id=a true", "RUN --unknown true", "RUN --security=insecure true",
	"RUN <<EOF\ntrue\nEOF", "RUN <<EOF\ntrue\nEOF\nRUN x", "RUN <<EOF\ntrue", "RUN <<EOF\ntrue\n EOF", "RUN <<-EOF\n\ttrue\n\tEOF", "RUN <<'E F'\nx\nE F", "RUN cat << EOF", "RUN cat <<<x", "RUN a=$((1<<2))",
	"RUN cat <<A <<B\n1\nA\n2\nB", "RUN cat <<A <<B\n1\nA\n2", "RUN [\"cat\", \"<<EOF\"]", "RUN echo '<<EOF'", "RUN echo \"a <<EOF b\"",
	"FORM a", "RUNtrue", "apt-get update", "&& true", "#", "# RUN", "  # x", "",
	"COPY a /x", "COPY a b /x/", "COPY a", "COPY", "COPY [\"a b\", \"/x\"]", "COPY [\"a\"]", "COPY [\"a\", 1]", "COPY --from=x a /x", "COPY --chown=1:1 --chmod=755 --link a /x", "COPY --unknown a /x", "COPY --link=maybe a /x",
	"COPY <<EOF /x\ntext\nEOF", "COPY <<EOF <<B /x/\ntext\nEOF\n2\nB", "COPY a <<EOF\nEOF", "COPY <<EOF /x\n", "ADD https://example.org/x /x", "ADD a", "ADD --checksum=sha256:0 a /x", "ADD --from=x a /x", "COPY --exclude=*.o --parents a /x",
	"ENV A=b", "ENV A b", "ENV A=b C=d", "ENV A=b C", "ENV A", "ENV", "ENV A=\"b c\" D='e f'", "ENV =b", "ENV A=b\\ c", "LABEL a=b", "LABEL a", "LABEL \"a b\"=c", "LABEL a=b c", "ENV A=b \\\n    C=d",
	"ARG A", "ARG A=b", "ARG A=b C D=e", "ARG", "ARG =b", "ARG A=\"b c\"",
	"USER a", "USER", "USER a:b", "WORKDIR /x", "WORKDIR", "WORKDIR a b", "STOPSIGNAL SIGTERM", "STOPSIGNAL", "EXPOSE 80 443/udp", "EXPOSE", "VOLUME /x /y", "VOLUME [\"/x\"]", "VOLUME", "VOLUME []", "VOLUME [\"\"]", "MAINTAINER a b", "MAINTAINER",
	"SHELL [\"/bin/bash\", \"-c\"]", "SHELL /bin/bash", "SHELL []", "SHELL", "SHELL [1]", "CMD a b", "CMD [\"a\"]", "CMD", "CMD [1]", "ENTRYPOINT", "ENTRYPOINT [\"a\"]", "ENTRYPOINT a", "CMD --x", "USER --x a",
	"HEALTHCHECK NONE", "HEALTHCHECK NONE x", "HEALTHCHECK", "HEALTHCHECK CMD", "HEALTHCHECK CMD true", "HEALTHCHECK --interval=5s CMD [\"true\"]", "HEALTHCHECK --every=5s CMD true", "HEALTHCHECK RUN true", "HEALTHCHECK CMD []",
	"ONBUILD RUN true", "ONBUILD", "ONBUILD FROM x", "ONBUILD ONBUILD RUN x", "ONBUILD MAINTAINER x", "onbuild run x", "ONBUILD RUN <<EOF\nx\nEOF", "ONBUILD RUN <<EOF\nx", "ONBUILD COPY a /x",
	"FROM b AS c", "FROM b as c", "FROM b c", "FROM b AS", "FROM", "FROM --platform=linux/amd64 b", "FROM --other=x b", "FROM b AS 1c", "FROM b AS C-d_e.f", "FROM b AS c/d", "FROM b AS c d", "FROM $X", "FROM b # c",
	"\xef\xbb\xbfRUN a", "RUN a\r\nRUN b\r", "RUN a \\\r\n b", "RUN a \\ \n b", "RUN a \\\n\n\n b\nRUN c",
}

// differs is what is refused here, and why BuildKit's parser lets it pass.
var differs = map[string]string{
	"RUN":                                  "it is refused later, when the step is planned",
	"RUN \\":                               "as before",
	"RUN --mount=type=none,target=/x true": "as before",
	"RUN --mount=type=cache true":          "as before",
}

// Whatever BuildKit's parser takes is taken, and nothing else.
func TestLikeBuildkit(t *testing.T) {
	for _, c := range corpus {
		for _, text := range []string{"FROM a\n" + c, "FROM a\n" + c + "\n", "# comment\nARG X=1\nFROM a\n" + c + "\nRUN last\n"} {
			_, faults := Parse(text)
			err := buildkit(text)
			if differs[c] == "" && (err == nil) != (len(faults) == 0) {
				t.Errorf("%q: here %v, BuildKit: %v", text, faults, err)
			}
		}
	}
}

// buildkit parses as a builder does.
func buildkit(text string) error {
	result, err := dockerfile.Parse(strings.NewReader(text))
	if err != nil {
		return err
	}
	_, _, err = instructions.Parse(result.AST, nil)
	return err
}

func FuzzLikeBuildkit(f *testing.F) {
	for _, c := range corpus {
		f.Add("FROM a\n" + c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, faults := Parse(text)
		result, err := dockerfile.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		var ours, theirs []string
		for _, i := range all {
			if i.Keyword != "" {
				ours = append(ours, i.Keyword)
			}
		}
		for _, n := range result.AST.Children {
			if n.Value != "" {
				theirs = append(theirs, strings.ToUpper(n.Value))
			}
		}
		if len(faults) == 0 && !slices.Equal(ours, theirs) && !strings.Contains(strings.ToLower(text), "escape") {
			t.Errorf("%q: %q, BuildKit: %q", text, ours, theirs)
		}
	})
}
