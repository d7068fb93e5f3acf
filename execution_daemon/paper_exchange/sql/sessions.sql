select session, open_at, close_at, is_half_day
from reference.sessions
where exchange_mic = %(mic)s
order by session
