
import calls.models.fields
import datetime
import django.core.validators
import django.db.models.deletion
import tenants.models.base
import uuid
from django.db import migrations, models

from tenants.rls import CompositeTenantForeignKey, EnableTenantRLS


class Migration(migrations.Migration):

    dependencies = [
        ('calls', '0003_routing'),
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='DoNotCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('number', calls.models.fields.E164Field(help_text='With + and country code: +52 55 1234 5678', max_length=16, verbose_name='number')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('source', models.CharField(choices=[('entered', 'Entered'), ('imported', 'Imported'), ('asked', 'Asked for in a call')], default='entered', editable=False, max_length=16, verbose_name='source')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'number not to call',
                'verbose_name_plural': 'do-not-call list',
                'ordering': ['number'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'number'), name='calls_do_not_call_once', violation_error_message='This number is in the list already.'), models.CheckConstraint(condition=models.Q(('number__regex', '^\\+[1-9][0-9]{6,14}$')), name='calls_do_not_call_is_e164')],
            },
        ),
        migrations.CreateModel(
            name='OutboundRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=200, verbose_name='idempotency key')),
                ('digest', models.CharField(max_length=64, verbose_name='digest')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('call', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='calls.call', verbose_name='call')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'outbound request',
                'verbose_name_plural': 'outbound requests',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'key'), name='calls_outbound_key_once')],
            },
        ),
        migrations.CreateModel(
            name='OutboundSettings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('window_opens', models.TimeField(default=datetime.time(9, 0), help_text='By the clock of the person called', verbose_name='call from')),
                ('window_closes', models.TimeField(default=datetime.time(20, 0), verbose_name='until')),
                ('max_at_once', models.PositiveSmallIntegerField(default=10, help_text='Placed calls that ring or are talked on at the same time', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(500)], verbose_name='calls at once')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'outbound settings',
                'verbose_name_plural': 'outbound settings',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant',), name='calls_outbound_settings_once'), models.CheckConstraint(condition=models.Q(('window_opens__lt', models.F('window_closes'))), name='calls_outbound_window_has_length', violation_error_message='The window has to close after it opens, the same day.'), models.CheckConstraint(condition=models.Q(('max_at_once__gte', 1), ('max_at_once__lte', 500)), name='calls_outbound_at_once')],
            },
        ),
        EnableTenantRLS("calls", "DoNotCall"),
        EnableTenantRLS("calls", "OutboundRequest"),
        EnableTenantRLS("calls", "OutboundSettings"),
        CompositeTenantForeignKey("calls", "OutboundRequest", "call"),
    ]
