package openaiadmin

import (
	"context"
	"strconv"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/keyprovider"
)

// usageKinds are the kinds of usage that count requests by key.
var usageKinds = []struct {
	name string
	get  func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error
}{
	{"completions", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.Completions(ctx, openai.AdminOrganizationUsageCompletionsParams{StartTime: start}, opts...)
		return err
	}},
	{"embeddings", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.Embeddings(ctx, openai.AdminOrganizationUsageEmbeddingsParams{StartTime: start}, opts...)
		return err
	}},
	{"moderations", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.Moderations(ctx, openai.AdminOrganizationUsageModerationsParams{StartTime: start}, opts...)
		return err
	}},
	{"images", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.Images(ctx, openai.AdminOrganizationUsageImagesParams{StartTime: start}, opts...)
		return err
	}},
	{"audio speeches", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.AudioSpeeches(ctx, openai.AdminOrganizationUsageAudioSpeechesParams{StartTime: start}, opts...)
		return err
	}},
	{"audio transcriptions", func(ctx context.Context, u *openai.AdminOrganizationUsageService, start int64, opts []option.RequestOption) error {
		_, err := u.AudioTranscriptions(ctx, openai.AdminOrganizationUsageAudioTranscriptionsParams{StartTime: start}, opts...)
		return err
	}},
}

// maxUsagePages bounds the pages of one kind.
const maxUsagePages = 100

type usagePage struct {
	Data []struct {
		Results []struct {
			KeyID    string `json:"api_key_id"`
			Requests int64  `json:"num_model_requests"`
		} `json:"results"`
	} `json:"data"`
	HasMore  *bool  `json:"has_more"`
	NextPage string `json:"next_page"`
}

// Usage returns how many requests bore the key since a time: for completions and
// responses, embeddings, moderations, images, speech and transcription. It
// counts whole minutes, over more than a day whole hours, over more than a week
// whole days, and so may count what came a little before. OpenAI does not say
// how late a request is counted. It takes the permission api.usage.read.
func (i *Issuer) Usage(ctx context.Context, id string, since time.Time) (int64, error) {
	const doing = "read the usage"
	if !isID(id) {
		return 0, i.errorf(keyprovider.ErrInvalid, doing+": this is not the id of a key")
	}
	if since.Unix() <= 0 {
		return 0, i.errorf(keyprovider.ErrInvalid, doing+": since is no time after 1970")
	}
	var sum int64
	for _, kind := range usageKinds {
		for page, n := "", 0; ; n++ {
			if n == maxUsagePages {
				return 0, i.errorf(keyprovider.ErrUnavailable, doing+": there is no end to the pages")
			}
			var answer usagePage
			f := i.read(ctx, func(opts ...option.RequestOption) error {
				answer = usagePage{}
				opts = append(opts, usageQuery(id, since, page)...)
				err := kind.get(ctx, &i.client.Usage, since.Unix(), append(opts, option.WithResponseBodyInto(&answer)))
				if err == nil && (answer.HasMore == nil || *answer.HasMore && (answer.NextPage == "" || answer.NextPage == page)) {
					return errUnreadable
				}
				return err
			})
			if f != nil {
				return 0, i.wrap(doing+" of "+kind.name, f)
			}
			for _, bucket := range answer.Data {
				for _, result := range bucket.Results {
					if result.KeyID == id || result.KeyID == "" { // asked for this key alone: what is not attributed is its
						sum += max(0, result.Requests)
					}
				}
			}
			if !*answer.HasMore {
				break
			}
			page = answer.NextPage
		}
	}
	return sum, nil
}

// usageQuery is what the request asks beside the start.
func usageQuery(id string, since time.Time, page string) []option.RequestOption {
	width, limit := "1d", 31
	switch age := time.Since(since); {
	case age <= 24*time.Hour:
		width, limit = "1m", 1440
	case age <= 7*24*time.Hour:
		width, limit = "1h", 168
	}
	query := []option.RequestOption{
		option.WithQuery("bucket_width", width), option.WithQuery("limit", strconv.Itoa(limit)),
		option.WithQuery("group_by[]", "api_key_id"), option.WithQuery("api_key_ids[]", id),
	}
	if page != "" {
		query = append(query, option.WithQuery("page", page))
	}
	return query
}
