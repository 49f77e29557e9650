"""Sign-ins of team and operator in a Cognito user pool.

The pool's user name is the e-mail address, so an address has one sign-in and belongs to one tenant.
``custom:tenant`` and ``custom:role`` are written here alone: the portal's client can only read them.
Mails (invitation, new password) are ours, not Cognito's: they go out like every other mail. Answers are the
same for an unknown address and for a wrong password.
"""

from __future__ import annotations

from typing import Any

from servelo.adapters.aws_errors import code_of, translated
from servelo.errors import Conflict, InvalidInput, ServeloError, TooMany, Unauthorized
from servelo.records import dataclass, field

_REFUSED = frozenset(
    {
        "NotAuthorizedException",
        "UserNotFoundException",
        "UserNotConfirmedException",
        "PasswordResetRequiredException",
        "ResourceNotFoundException",
    }
)
_WRONG_CODE = frozenset({"CodeMismatchException", "ExpiredCodeException", "EnableSoftwareTokenMFAException"})


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a sign-in gave: tokens, or a ``challenge`` that must be answered first with ``session``."""

    id_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_seconds: int = 0
    challenge: str = ""
    session: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """A sign-in as the pool knows it."""

    email: str
    slug: str
    role: str
    status: str


class CognitoIdentity:
    """``ports.IdentityProvider`` and the sign-in flows. One Cognito call each unless said otherwise."""

    def __init__(self, client: Any, pool_id: str, client_id: str) -> None:
        self._cognito = client
        self._pool = pool_id
        self._client = client_id

    # ---- accounts --------------------------------------------------------------------------------

    def create_user(self, *, email: str, slug: str, role: str, password: str | None) -> None:
        """Create the sign-in of *email*, or bring the one of the same tenant up to date.

        Without *password* nobody can sign in until ``set_password`` was called (by an invitation's link).

        Raises:
            Conflict: the address has a sign-in in another tenant.
            InvalidInput: the pool's password policy refuses *password*.
        """
        attributes = [
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "custom:tenant", "Value": slug},
            {"Name": "custom:role", "Value": role},
        ]
        with self._call(hide=()):
            try:
                self._cognito.admin_create_user(
                    UserPoolId=self._pool,
                    Username=email,
                    UserAttributes=attributes,
                    MessageAction="SUPPRESS",
                )
            except Exception as error:
                if code_of(error) != "UsernameExistsException":
                    raise
                there = self.account(email)
                if there is not None and there.slug != slug:
                    raise Conflict(
                        "this address has a sign-in elsewhere; use another address",
                        code="address_in_use",
                        field="email",
                    ) from error
                self.set_role(email, role)
        if password is not None:
            self.set_password(email, password)

    def account(self, email: str) -> Account | None:
        """Return the sign-in of *email*, None when there is none."""
        with self._call(hide=()):
            try:
                answer = self._cognito.admin_get_user(UserPoolId=self._pool, Username=email)
            except Exception as error:
                if code_of(error) == "UserNotFoundException":
                    return None
                raise
        found = {a["Name"]: a.get("Value", "") for a in answer.get("UserAttributes", [])}
        return Account(
            found.get("email", email),
            found.get("custom:tenant", ""),
            found.get("custom:role", ""),
            answer.get("UserStatus", ""),
        )

    def set_role(self, email: str, role: str) -> None:
        """Write the role that the next token will carry."""
        with self._call(hide=()):
            self._cognito.admin_update_user_attributes(
                UserPoolId=self._pool,
                Username=email,
                UserAttributes=[{"Name": "custom:role", "Value": role}],
            )

    def set_password(self, email: str, password: str) -> None:
        """Set the password for good. Raises InvalidInput when the pool's policy refuses it."""
        with self._call(hide=()):
            self._cognito.admin_set_user_password(
                UserPoolId=self._pool, Username=email, Password=password, Permanent=True
            )

    def sign_out_everywhere(self, email: str) -> None:
        """Revoke every refresh token of *email*."""
        with self._call(hide=("UserNotFoundException",)):
            self._cognito.admin_user_global_sign_out(UserPoolId=self._pool, Username=email)

    def delete_user(self, email: str) -> None:
        """Delete the sign-in; nothing happens when there is none."""
        with self._call(hide=("UserNotFoundException",)):
            self._cognito.admin_delete_user(UserPoolId=self._pool, Username=email)

    # ---- signing in --------------------------------------------------------------------------------

    def login(self, email: str, password: str) -> SignIn:
        """Sign in with a password.

        Raises:
            Unauthorized: ``wrong_credentials``, for an unknown address and a wrong password alike.
            TooMany: Cognito wants a pause.
        """
        with self._call(hide=(), refused="wrong_credentials"):
            answer = self._cognito.initiate_auth(
                ClientId=self._client,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
            )
        return _sign_in(answer)

    def answer_challenge(
        self, email: str, challenge: str, session: str, *, code: str = "", new_password: str = ""
    ) -> SignIn:
        """Answer ``SOFTWARE_TOKEN_MFA`` with *code* or ``NEW_PASSWORD_REQUIRED`` with *new_password*.

        Raises:
            InvalidInput: a wrong code, or a password that the policy refuses.
            Unauthorized: the session is over; sign in again.
        """
        answers = {"USERNAME": email}
        if challenge == "SOFTWARE_TOKEN_MFA":
            answers["SOFTWARE_TOKEN_MFA_CODE"] = code
        else:
            answers["NEW_PASSWORD"] = new_password
        with self._call(hide=(), refused="session_over"):
            answer = self._cognito.respond_to_auth_challenge(
                ClientId=self._client, ChallengeName=challenge, Session=session, ChallengeResponses=answers
            )
        return _sign_in(answer)

    def refresh(self, refresh_token: str) -> SignIn:
        """Return a new ID token. Raises Unauthorized when the refresh token is over or revoked."""
        with self._call(hide=(), refused="session_over"):
            answer = self._cognito.initiate_auth(
                ClientId=self._client,
                AuthFlow="REFRESH_TOKEN_AUTH",
                AuthParameters={"REFRESH_TOKEN": refresh_token},
            )
        return _sign_in(answer)

    def logout(self, refresh_token: str) -> None:
        """Revoke the refresh token and what came of it; an unknown one is no error."""
        with self._call(hide=("InvalidParameterException", "UnauthorizedException", *_REFUSED)):
            self._cognito.revoke_token(ClientId=self._client, Token=refresh_token)

    # ---- second factor -------------------------------------------------------------------------------

    def totp_state(self, access_token: str) -> tuple[str, bool]:
        """Return (address, whether sign-in asks for a code). Raises Unauthorized for a token that is over."""
        with self._call(hide=(), refused="session_over"):
            answer = self._cognito.get_user(AccessToken=access_token)
        found = {a["Name"]: a.get("Value", "") for a in answer.get("UserAttributes", [])}
        return found.get("email", ""), "SOFTWARE_TOKEN_MFA" in answer.get("UserMFASettingList", [])

    def begin_totp(self, access_token: str) -> str:
        """Return a new secret for an authenticator app. Raises Unauthorized for a token that is over."""
        with self._call(hide=(), refused="session_over"):
            answer = self._cognito.associate_software_token(AccessToken=access_token)
        return str(answer["SecretCode"])

    def confirm_totp(self, access_token: str, code: str) -> None:
        """Check a code of the new secret and ask for one at every sign-in from now on; two calls.

        Raises:
            InvalidInput: the code is wrong.
        """
        with self._call(hide=(), refused="session_over"):
            self._cognito.verify_software_token(AccessToken=access_token, UserCode=code)
            self._cognito.set_user_mfa_preference(
                AccessToken=access_token, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
            )

    def end_totp(self, access_token: str) -> None:
        """Ask for no code any more."""
        with self._call(hide=(), refused="session_over"):
            self._cognito.set_user_mfa_preference(
                AccessToken=access_token, SoftwareTokenMfaSettings={"Enabled": False, "PreferredMfa": False}
            )

    def _call(self, *, hide: tuple[str, ...], refused: str = "unauthorized") -> _Call:
        return _Call(hide, refused)


class _Call:
    """Around one call: what Cognito refuses becomes our error, and nothing it says about an account leaks."""

    def __init__(self, hide: tuple[str, ...], refused: str) -> None:
        self._hide = hide
        self._refused = refused

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, ServeloError):
            return False
        code = code_of(error)
        if code and code in self._hide:
            return True
        if code in _REFUSED:
            if self._refused == "wrong_credentials":
                raise Unauthorized("the address or the password is wrong", code="wrong_credentials") from None
            raise Unauthorized("sign in again", code=self._refused) from None
        if code in _WRONG_CODE:
            raise InvalidInput(
                "the code is wrong or too old; type the one shown now", code="wrong_code", field="code"
            ) from None
        if code in ("InvalidPasswordException", "PasswordHistoryPolicyViolationException"):
            raise InvalidInput(
                "use at least 12 characters", code="password_refused", field="password"
            ) from None
        if code in ("TooManyRequestsException", "LimitExceededException", "TooManyFailedAttemptsException"):
            raise TooMany("too many tries; wait a few minutes") from None
        # botocore refuses what is too short for a session or a token before Cognito is asked.
        if code == "InvalidParameterException" or type(error).__name__ == "ParamValidationError":
            # Cognito's words may quote the value, so they are dropped.
            raise Unauthorized("sign in again", code=self._refused) from None
        with translated("Cognito"):
            raise error


def _sign_in(answer: dict[str, Any]) -> SignIn:
    if answer.get("ChallengeName"):
        return SignIn(challenge=answer["ChallengeName"], session=answer.get("Session", ""))
    result = answer["AuthenticationResult"]
    return SignIn(
        id_token=result["IdToken"],
        access_token=result.get("AccessToken", ""),
        refresh_token=result.get("RefreshToken", ""),
        expires_seconds=int(result.get("ExpiresIn", 3600)),
    )
